//go:build e2e

package quota

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/test/testbed"
)

// startProxy starts a proxy in front of addr.
func startProxy(t testing.TB, addr string) *toxiproxy.Proxy {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxics write to the global logger
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "redis", "127.0.0.1:0", addr)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// TestRedisFaults: whatever is wrong with Redis or with the way to it, each
// on_error does what it says, a charge returns by its deadline, what was spent is
// what was admitted, and all is well once the fault is gone.
//
//	charges ─▶ limiter ─▶ toxiproxy ─▶ redis
func TestRedisFaults(t *testing.T) {
	toxic := func(json string) func(testing.TB, *toxiproxy.Proxy, *testbed.Redis) (mend func()) {
		return func(t testing.TB, p *toxiproxy.Proxy, _ *testbed.Redis) func() {
			if _, err := p.Toxics.AddToxicJson(strings.NewReader(json)); err != nil {
				t.Fatal(err)
			}
			return func() { p.Toxics.ResetToxics(t.Context()) }
		}
	}
	for _, c := range []struct {
		name   string
		forget bool // Redis loses its state
		fault  func(testing.TB, *toxiproxy.Proxy, *testbed.Redis) (mend func())
	}{
		{"answers are late", false, toxic(`{"type": "latency", "attributes": {"latency": 1500, "jitter": 200}}`)},
		{"answers are reset", false, toxic(`{"type": "reset_peer", "attributes": {"timeout": 0}}`)},
		{"questions are reset", false, toxic(`{"type": "reset_peer", "stream": "upstream", "attributes": {"timeout": 10}}`)},
		{"no bandwidth for questions", false, toxic(`{"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 0}}`)},
		{"no bandwidth for answers", false, toxic(`{"type": "bandwidth", "attributes": {"rate": 0}}`)},
		{"answers come in pieces", false, toxic(`{"type": "slicer", "attributes": {"average_size": 1, "size_variation": 0, "delay": 100000}}`)},
		{"killed", true, func(t testing.TB, _ *toxiproxy.Proxy, r *testbed.Redis) func() {
			if err := r.Kill(); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := r.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			redis := startRedis(t)
			proxy := startProxy(t, redis.Addr)
			cfg := redisConfig(proxy.Listen)
			cfg.Redis.Timeout = 400 * time.Millisecond
			l, stop := startReplica(t, cfg)
			b := startBooks(t, l)
			few := func(o mesh.QuotaOnError) mesh.Quota {
				q := mesh.Quota{Name: o.String(), Key: "k", Limit: 2, Per: 24 * time.Hour, Cost: 1, OnError: o, Sync: true}
				q.Identify(nil)
				return q
			}
			deny, allow, local := few(mesh.QuotaErrorDeny), few(mesh.QuotaErrorAllow), few(mesh.QuotaErrorLocal)
			expect := func(when string, q mesh.Quota, over bool, source mesh.QuotaSource) {
				t.Helper()
				if r := b.charge(t.Context(), q); r.Over != over || r.Source != source {
					t.Errorf("%s, %s: %+v", when, q.Name, r)
				}
			}
			for _, q := range []mesh.Quota{deny, allow, local} {
				expect("before", q, false, mesh.QuotaRedis)
				expect("before", q, false, mesh.QuotaRedis)
				expect("before", q, true, mesh.QuotaRedis)
			}
			eventually(t, "tokens are taken ahead", func() bool { return b.leased.Load() > 50 })

			mend := c.fault(t, proxy, redis)
			// Nobody knows yet. Who has a deadline is back by then, not by ours.
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			began := time.Now()
			if r := b.charge(ctx, deny); !r.Over || r.Source != mesh.QuotaFailed {
				t.Errorf("with a deadline: %+v", r)
			}
			if d := time.Since(began); d > cfg.Redis.Timeout {
				t.Errorf("with 50ms to go a charge took %s", d)
			}
			cancel()
			eventually(t, "the breaker opens", func() bool {
				expect("as it begins", deny, true, mesh.QuotaFailed)
				return !l.shared.batcher.breaker.closed()
			})
			for i := range 100 {
				expect("without", allow, false, mesh.QuotaFailed)
				expect("without", deny, true, mesh.QuotaFailed)
				expect(fmt.Sprint("without, charge ", i), local, i >= 2, mesh.QuotaFallback)
			}

			mend()
			eventually(t, "redis is asked again", l.shared.batcher.breaker.closed)
			before := b.leased.Load()
			eventually(t, "tokens are taken ahead again", func() bool { return b.leased.Load() > before+50 })
			for _, q := range []mesh.Quota{deny, allow, local} {
				if c.forget { // at most one burst more
					expect("after", q, false, mesh.QuotaRedis)
					expect("after", q, false, mesh.QuotaRedis)
				}
				expect("after", q, true, mesh.QuotaRedis)
			}
			b.stop()
			stop()
			if spent := l.shared.books.spent.Load(); spent != b.admitted.Load() {
				t.Errorf("the books say that %d were spent; %d were admitted", spent, b.admitted.Load())
			}
		})
	}
}

// bookkeeper charges, and knows what was admitted on tokens of Redis.
type bookkeeper struct {
	l                *Limiter
	admitted, leased atomic.Uint64
	stop             func()
}

// startBooks charges a quota that is taken ahead, all the time.
func startBooks(t testing.TB, l *Limiter) *bookkeeper {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	b := &bookkeeper{l: l, stop: func() {
		cancel()
		wg.Wait()
	}}
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				q := perSecond("ahead", "k", 10_000)
				q.OnError = mesh.QuotaErrorAllow
				q.Identify(nil)
				if r := b.charge(t.Context(), q); r.Source == mesh.QuotaLease && !r.Over {
					b.leased.Add(1)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	t.Cleanup(b.stop)
	return b
}

func (b *bookkeeper) charge(ctx context.Context, q mesh.Quota) mesh.QuotaResult {
	results := make([]mesh.QuotaResult, 1)
	b.l.Charge(ctx, []mesh.Quota{q}, results, mesh.ChargeAll)
	if r := results[0]; !r.Over && (r.Source == mesh.QuotaLease || r.Source == mesh.QuotaRedis) {
		b.admitted.Add(1)
	}
	return results[0]
}
