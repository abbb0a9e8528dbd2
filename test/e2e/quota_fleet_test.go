//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tallygate/tallygate/test/testbed"
)

const fleetPolicy = `package envoy.authz

allow := {"allowed": true, "quotas": [{"name": "shared", "key": input.attributes.request.http.headers["x-user"], "limit": 200, "per": "1s"}]}
`

// fleetLimit is that of fleetPolicy, per second and at once.
const fleetLimit = 200

// replica is one of a fleet, and who asks it.
type replica struct {
	*testbed.Tallygate
	client authv3.AuthorizationClient
}

func startFleet(t *testing.T, n int, redis string) []*replica {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "policy.rego")
	if err := os.WriteFile(policy, []byte(fleetPolicy), 0o644); err != nil {
		t.Fatal(err)
	}
	var fleet []*replica
	for range n {
		addr, err := testbed.FreeAddr("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		r := &replica{Tallygate: StartTallygate(t, testbed.TallygateConfig{More: object{
			"planes": array{"policy"},
			"policy": object{"paths": array{policy}, "evaluation_timeout": "10s"},
			"ingest": object{"extauthz": object{"endpoint": addr, "timeout": "10s"}},
			"quota":  object{"source": "redis", "on_error": "deny", "redis": object{"addresses": array{redis}, "timeout": "250ms"}},
		}})}
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		r.client = authv3.NewAuthorizationClient(conn)
		fleet = append(fleet, r)
		Eventually(t, 15*time.Second, func(context.Context) error {
			if !strings.Contains(adminMetrics(t, r.Admin), "tallygate_quota_redis_up 1\n") {
				return fmt.Errorf("redis is not asked")
			}
			return nil
		})
	}
	return fleet
}

// offer sends rate checks a second to r until done, and notes when those passed
// that did.
func (r *replica) offer(t *testing.T, rate float64, duration time.Duration, began time.Time, passed func(time.Duration), asked *atomic.Int64) {
	req := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
		Method: "GET", Path: "/", Headers: map[string]string{"x-user": "alice"},
	}}}}
	var wg sync.WaitGroup
	defer wg.Wait()
	const senders = 4
	for range senders {
		wg.Go(func() {
			for sent := 0.0; time.Since(began) < duration; {
				for ; sent < rate/senders*time.Since(began).Seconds(); sent++ {
					resp, err := r.client.Check(t.Context(), req)
					if err != nil {
						return // it was killed
					}
					asked.Add(1)
					if resp.GetStatus().GetCode() == 0 {
						passed(time.Since(began))
					}
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
}

// within checks the promise over every interval: n losses of state may add a burst
// each.
func within(t *testing.T, at []time.Duration, losses int) {
	t.Helper()
	slices.Sort(at)
	const age = 100 * time.Millisecond
	// A client sees an answer a little after it was given: what is close together
	// may have been further apart.
	const slack = 150 * time.Millisecond
	for i := range at {
		for j := i; j < len(at); j++ {
			most := fleetLimit*(1+losses) + int(fleetLimit*(at[j]-at[i]+age+slack).Seconds())
			if n := j - i + 1; n > most {
				t.Fatalf("%d were admitted in %s; want %d at most", n, at[j]-at[i], most)
			}
		}
	}
}

// Three replicas share one limit through a real Redis, whatever happens to them
// and to it.
//
//	clients ─5 × limit─▶ tallygate × 3 ─leases─▶ redis
func TestQuotaFleet(t *testing.T) {
	f := func(name string, share []float64, losses int, least float64, disturb func(t *testing.T, fleet []*replica, redis *testbed.Redis)) {
		t.Run(name, func(t *testing.T) {
			redis := StartRedis(t)
			fleet := startFleet(t, len(share), redis.Addr)
			const duration = 10 * time.Second
			var mu sync.Mutex
			var at []time.Duration
			var asked atomic.Int64
			began := time.Now()
			var wg sync.WaitGroup
			for i, r := range fleet {
				wg.Go(func() {
					r.offer(t, 5*fleetLimit*share[i], duration, began, func(d time.Duration) {
						mu.Lock()
						defer mu.Unlock()
						at = append(at, d)
					}, &asked)
				})
			}
			if disturb != nil {
				time.Sleep(duration / 3)
				disturb(t, fleet, redis)
			}
			wg.Wait()
			within(t, at, losses)
			n, whole := float64(len(at)), fleetLimit*duration.Seconds()
			t.Logf("%d asked, %.0f admitted: %.1f %% of the limit", asked.Load(), n, 100*n/whole)
			if n < least*whole {
				t.Errorf("%.0f were admitted of %.0f; want %.0f %%", n, whole, 100*least)
			}
			for i, r := range fleet {
				if r.PID() > 0 && alive(r) {
					wantBalanced(t, i, r)
				}
			}
		})
	}
	even := []float64{1. / 3, 1. / 3, 1. / 3}
	f("balanced", even, 0, 0.95, nil)
	f("skewed", []float64{0.9, 0.05, 0.05}, 0, 0.85, nil)
	f("a replica is killed", even, 0, 0.7, func(t *testing.T, fleet []*replica, _ *testbed.Redis) {
		if err := fleet[0].Kill(); err != nil {
			t.Error(err)
		}
	})
	f("a replica drains", even, 0, 0.7, func(t *testing.T, fleet []*replica, _ *testbed.Redis) {
		if err := fleet[0].Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	f("redis forgets", even, 1, 0.9, func(t *testing.T, _ []*replica, redis *testbed.Redis) {
		if _, err := redis.Do(t.Context(), "FLUSHALL"); err != nil {
			t.Error(err)
		}
		if _, err := redis.Do(t.Context(), "SCRIPT FLUSH"); err != nil {
			t.Error(err)
		}
	})
	f("redis stands still", even, 0, 0.4, func(t *testing.T, _ []*replica, redis *testbed.Redis) {
		if err := redis.Pause(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if err := redis.Resume(); err != nil {
			t.Error(err)
		}
	})
}

func alive(r *replica) bool {
	select {
	case <-r.Done():
		return false
	default:
		return r.Signal(syscall.Signal(0)) == nil
	}
}

var leaseTokens = regexp.MustCompile(`(?m)^tallygate_quota_lease_tokens_(?:total\{state="(\w+)"\}|(held)) (\S+)$`)

// wantBalanced waits until what was taken ahead is back: granted = spent +
// returned + expired.
func wantBalanced(t *testing.T, i int, r *replica) {
	t.Helper()
	Eventually(t, 10*time.Second, func(context.Context) error {
		books := map[string]float64{}
		for _, m := range leaseTokens.FindAllStringSubmatch(adminMetrics(t, r.Admin), -1) {
			v, err := strconv.ParseFloat(m[3], 64)
			if err != nil {
				return err
			}
			books[m[1]+m[2]] = v
		}
		if books["held"] != 0 || books["granted"] == 0 || books["granted"] != books["spent"]+books["returned"]+books["expired"] {
			return fmt.Errorf("the books of replica %d: %v", i, books)
		}
		return nil
	})
}
