package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tallygate/tallygate/test/testbed"
)

// Limit is that of each key, per second and at once.
const Limit = 200

// demand is how many times the limit is asked for.
const demand = 5

const policy = `package envoy.authz

allow := {"allowed": true, "quotas": [{"name": "shared", "key": input.attributes.request.http.headers["x-user"], "limit": 200, "per": "1s"}]}
`

// Fleet is replicas and their Redis.
type Fleet struct {
	Redis    *testbed.Redis
	Replicas []*Replica
}

// Replica is one of a fleet, and who asks it.
type Replica struct {
	*testbed.Tallygate
	conn    *grpc.ClientConn
	client  authv3.AuthorizationClient
	leaving atomic.Bool // by intent
}

// Run plays a case for d, with processes that end with the bed.
func Run(ctx context.Context, bed *testbed.Bed, c Case, d time.Duration) (res Result, err error) {
	f, err := start(ctx, bed, len(c.Replicas))
	if err != nil {
		return res, err
	}
	defer func() {
		for _, r := range f.Replicas {
			err = errors.Join(err, r.conn.Close())
		}
	}()
	a := &admissions{at: make([][]time.Duration, len(c.Keys))}
	began := time.Now()
	errs := make([]error, len(f.Replicas)+1)
	var wg sync.WaitGroup
	for i, r := range f.Replicas {
		wg.Go(func() { errs[i] = r.offer(ctx, demand*Limit*float64(len(c.Keys))*c.Replicas[i], c.Keys, began, d, a) })
	}
	if c.Disturb != nil {
		wg.Go(func() {
			select {
			case <-ctx.Done():
			case <-time.After(d / 3):
				errs[len(f.Replicas)] = c.Disturb(ctx, f)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return res, err
	}
	for i, r := range f.Replicas {
		if r.leaving.Load() {
			continue
		}
		if err := r.balanced(ctx); err != nil {
			return res, fmt.Errorf("replica %d: %w", i, err)
		}
	}
	return a.result(&c, d), nil
}

func start(ctx context.Context, bed *testbed.Bed, n int) (*Fleet, error) {
	path := filepath.Join(bed.Dir, "fleet.rego")
	if err := os.WriteFile(path, []byte(policy), 0o644); err != nil {
		return nil, err
	}
	redis, err := bed.StartRedis(ctx)
	if err != nil {
		return nil, err
	}
	f := &Fleet{Redis: redis}
	for range n {
		addr, err := testbed.FreeAddr("127.0.0.1")
		if err != nil {
			return nil, err
		}
		r := &Replica{}
		type object = map[string]any
		if r.Tallygate, err = bed.StartTallygate(ctx, testbed.TallygateConfig{More: object{
			"planes": []any{"policy"},
			"policy": object{"paths": []any{path}, "evaluation_timeout": "10s"},
			"ingest": object{"extauthz": object{"endpoint": addr, "timeout": "10s"}},
			"quota":  object{"source": "redis", "on_error": "deny", "redis": object{"addresses": []any{redis.Addr}, "timeout": "250ms"}},
		}}); err != nil {
			return nil, err
		}
		if r.conn, err = grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
			return nil, err
		}
		r.client = authv3.NewAuthorizationClient(r.conn)
		f.Replicas = append(f.Replicas, r)
		if err := r.until(ctx, "it asks Redis", func(metrics string) bool {
			return strings.Contains(metrics, "tallygate_quota_redis_up 1\n")
		}); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// offer sends rate checks a second for d, each for one of the keys by their
// shares.
func (r *Replica) offer(ctx context.Context, rate float64, keys []float64, began time.Time, d time.Duration, a *admissions) error {
	requests := make([]*authv3.CheckRequest, len(keys))
	for i := range keys {
		requests[i] = &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: "GET", Path: "/", Headers: map[string]string{"x-user": "user-" + strconv.Itoa(i)},
		}}}}
	}
	const senders = 8
	errs := make([]error, senders)
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(s), 1))
			for sent := 0.0; time.Since(began) < d; {
				for ; sent < rate/senders*time.Since(began).Seconds(); sent++ {
					key := pick(keys, rng.Float64())
					resp, err := r.client.Check(ctx, requests[key])
					if err != nil {
						if !r.leaving.Load() {
							errs[s] = err
						}
						return
					}
					a.asked.Add(1)
					if resp.GetStatus().GetCode() == 0 {
						a.add(key, time.Since(began))
					}
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// pick returns the one of shares in which p of all falls.
func pick(shares []float64, p float64) int {
	for i, s := range shares {
		if p -= s; p < 0 {
			return i
		}
	}
	return len(shares) - 1
}

var leaseTokens = regexp.MustCompile(`(?m)^tallygate_quota_lease_tokens_(?:total\{state="(\w+)"\}|(held)) (\S+)$`)

// balanced waits until what was taken ahead is back: granted = spent + returned +
// expired.
func (r *Replica) balanced(ctx context.Context) error {
	books := map[string]float64{}
	err := r.until(ctx, "its books balance", func(metrics string) bool {
		for _, m := range leaseTokens.FindAllStringSubmatch(metrics, -1) {
			books[m[1]+m[2]], _ = strconv.ParseFloat(m[3], 64) // of our own writing
		}
		return books["held"] == 0 && books["granted"] > 0 && books["granted"] == books["spent"]+books["returned"]+books["expired"]
	})
	if err != nil {
		return fmt.Errorf("%w: %v", err, books)
	}
	return nil
}

// until polls the replica's own metrics.
func (r *Replica) until(ctx context.Context, what string, holds func(metrics string) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	err := testbed.Poll(ctx, 100*time.Millisecond, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Admin+"/metrics", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err == nil && !holds(string(b)) {
			err = errors.New("not yet")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("waiting until %s: %w", what, err)
	}
	return nil
}
