package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/tallygate/tallygate/ingest"
)

const checkMethod = "/envoy.service.auth.v3.Authorization/Check"

// asker sends requests of a pool that were serialised before, round robin.
type asker struct {
	method string
	passes func(reply []byte) error // nil if a request of the pool may pass
	conns  []*grpc.ClientConn
	pool   []*ingest.Frame
	next   atomic.Int64
}

func newAsker(target string, conns int, pool [][]byte) (*asker, error) {
	a := &asker{method: checkMethod, passes: allowed}
	for _, b := range pool {
		a.pool = append(a.pool, ingest.NewFrame(b))
	}
	for range conns {
		c, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(ingest.Codec())))
		if err != nil {
			return nil, err
		}
		a.conns = append(a.conns, c)
	}
	return a, nil
}

// newVerifiedAsker asks s with a pool of 2,000 checks, each of which it has
// answered as it should.
func newVerifiedAsker(ctx context.Context, s *server) (*asker, error) {
	pool, err := checkPool(2000)
	if err != nil {
		return nil, err
	}
	a, err := newAsker(s.target, 2, pool)
	if err != nil {
		return nil, err
	}
	if err := a.verify(ctx); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *asker) close() {
	for _, c := range a.conns {
		c.Close()
	}
}

// ask sends one request.
func (a *asker) ask(ctx context.Context, n int64, reply *ingest.Frame) error {
	c := a.conns[n%int64(len(a.conns))]
	return c.Invoke(ctx, a.method, a.pool[n%int64(len(a.pool))], reply)
}

// verify asks each of the pool once and fails unless all are allowed.
func (a *asker) verify(ctx context.Context) error {
	var reply ingest.Frame
	defer reply.Free()
	for n := range a.pool {
		if err := a.ask(ctx, int64(n), &reply); err != nil {
			return err
		}
		if err := a.passes(reply.Bytes()); err != nil {
			return fmt.Errorf("request %d of the pool: %w", n, err)
		}
	}
	return nil
}

// allowed fails unless an answer allows a request.
func allowed(reply []byte) error {
	var m authv3.CheckResponse
	if err := proto.Unmarshal(reply, &m); err != nil {
		return err
	}
	if m.GetStatus().GetCode() != 0 {
		return fmt.Errorf("is denied: %v", &m)
	}
	return nil
}

// closed sends total requests, callers at once on each connection.
func (a *asker) closed(ctx context.Context, total int64, callers int) error {
	var left atomic.Int64
	left.Store(total)
	var wg sync.WaitGroup
	errs := make(chan error, callers*len(a.conns))
	for range callers * len(a.conns) {
		wg.Go(func() {
			var reply ingest.Frame
			defer reply.Free()
			for left.Add(-1) >= 0 {
				if err := a.ask(ctx, a.next.Add(1), &reply); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs // nil if there is none
}

// open sends rate requests per second for d, whether or not the earlier ones
// are answered, and returns the latencies, sorted, each from when its request
// was due.
func (a *asker) open(ctx context.Context, rate int, d time.Duration) ([]time.Duration, error) {
	total := int64(d.Seconds() * float64(rate))
	took := make([]time.Duration, total)
	errs := make(chan error, total)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range total {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		wg.Go(func() {
			var reply ingest.Frame
			defer reply.Free()
			if err := a.ask(ctx, a.next.Add(1), &reply); err != nil {
				errs <- err
			}
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	close(errs)
	slices.Sort(took)
	return took, <-errs
}
