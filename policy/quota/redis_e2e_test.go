//go:build e2e

package quota

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/test/testbed"
)

// startRedis starts a real one that ends with the test.
func startRedis(t testing.TB) *testbed.Redis {
	t.Helper()
	bed, err := testbed.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bed.Close(); err != nil {
			t.Error(err)
		}
	})
	r, err := bed.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func redisConfig(addr string) Config {
	cfg := DefaultConfig()
	cfg.Source = SourceRedis
	cfg.OnError = "deny"
	cfg.Redis.Addresses = []string{addr}
	cfg.Redis.Timeout = 2 * time.Second // the machine may be busy
	return cfg
}

// startReplica runs a limiter on Redis until stop, or the end of the test.
func startReplica(t testing.TB, cfg Config) (l *Limiter, stop func()) {
	t.Helper()
	l, err := New(cfg, Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	cancel, done := running(t, l)
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			balanced(t, l)
		})
	}
	t.Cleanup(stop)
	eventually(t, "redis answers", l.shared.batcher.breaker.closed)
	return l, stop
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for range 1000 {
		if cond() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within 10s: %s", what)
}

// balanced checks the books of a limiter that has stopped.
func balanced(t testing.TB, l *Limiter) {
	t.Helper()
	b := &l.shared.books
	_, held := l.shared.held()
	granted, out := b.granted.Load(), b.spent.Load()+b.returned.Load()+b.expired.Load()+held
	if granted != out || held != 0 {
		t.Errorf("the books do not balance: granted %d; spent %d + returned %d + expired %d + held %d = %d",
			granted, b.spent.Load(), b.returned.Load(), b.expired.Load(), held, out)
	}
}

// TestScriptIsTheArithmetic: the script says what spend and refund do, at times
// that are given to it.
func TestScriptIsTheArithmetic(t *testing.T) {
	r := startRedis(t)
	client, err := newRedisClient(redisConfig(r.Addr).Redis)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer client.close()
	const clock = "local t = redis.call('TIME')\nlocal now = t[1] * 1000000 + t[2]\n"
	if !strings.Contains(redisScript, clock) {
		t.Fatal("the script does not read the time as expected")
	}
	at := strings.Replace(redisScript, clock, "local now = tonumber(ARGV[#ARGV])\n", 1)
	const expiry = ", 'PX', string.format('%.0f', math.ceil((s[1] - now) / 1000) + 1))" // by the server's clock
	if !strings.Contains(at, expiry) {
		t.Fatal("the script does not set an expiry as expected")
	}
	at = strings.Replace(at, expiry, ")", 1)
	rng := rand.New(rand.NewPCG(11, 12))
	for c := range 200 {
		q := mesh.Quota{
			Name: "q", Key: strconv.Itoa(c), Limit: 1 + rng.Uint64N(1<<rng.IntN(20)), Per: time.Duration(1+rng.Int64N(1<<rng.IntN(22))) * time.Millisecond,
			Burst: rng.Uint64N(1 << rng.IntN(20)),
		}
		if rng.IntN(3) == 0 {
			q.Algorithm, q.Burst = mesh.FixedWindow, 0
		}
		if Check(&q) != nil {
			continue
		}
		q.Identify(nil)
		l := limitOf(&q)
		var s state
		us := int64(1_700_000_000_000_000)
		for i := range 60 {
			us += rng.Int64N(2 + int64(l.span(1+rng.Uint64N(l.burst)).ns)/1000)
			cost := rng.Uint64N(l.burst + 2)
			it := item{op: opTake, id: q.ID, limit: l, want: cost, least: int64(cost)}
			var want mesh.QuotaResult
			if rng.IntN(8) == 0 && l.algorithm == mesh.GCRA {
				it.op = opRefund
				s = refund(us*1000, &l, s, cost)
				s, want = spend(us*1000, &l, s, 0)
			} else {
				s, want = spend(us*1000, &l, s, cost)
			}
			cmd := (*client.client.Load()).B().Eval().Script(at).Numkeys(1).Key(client.key(&q.ID)).
				Arg(client.args(&it)...).Arg(strconv.FormatInt(us, 10)).Build()
			replies := make([]reply, 1)
			read((*client.client.Load()).Do(t.Context(), cmd), []int{0}, replies)
			got := replies[0]
			if got.err != nil {
				t.Fatal(got.err)
			}
			if over := it.op == opTake && got.taken < cost; over != want.Over || got.left != want.Remaining {
				t.Fatalf("%+v, item %d %+v: over %v, %d left; want %v, %d", l, i, it, over, got.left, want.Over, want.Remaining)
			}
			if d := got.reset - want.Reset; d < 0 || d > time.Microsecond {
				t.Fatalf("%+v, item %d: reset %s; want %s", l, i, got.reset, want.Reset)
			}
			if d := got.retry - want.RetryAfter; want.Over && want.RetryAfter != mesh.Never && (d < 0 || d > time.Microsecond) {
				t.Fatalf("%+v, item %d: retry %s; want %s", l, i, got.retry, want.RetryAfter)
			}
		}
	}
}

// TestScriptGroups: a group takes all or nothing, shadows for themselves, and a
// key may come again.
func TestScriptGroups(t *testing.T) {
	r := startRedis(t)
	client, err := newRedisClient(redisConfig(r.Addr).Redis)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer client.close()
	it := func(name string, limit, group, want uint64, least int64) item {
		q := perSecond(name, "k", limit)
		q.Per = time.Hour
		q.Identify(nil)
		return item{op: opTake, group: group, id: q.ID, limit: limitOf(&q), want: want, least: least}
	}
	f := func(want []uint64, items ...item) {
		t.Helper()
		var got []uint64
		for _, r := range client.run(t.Context(), items) {
			if r.err != nil {
				t.Fatal(r.err)
			}
			got = append(got, r.taken)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("taken %v; want %v", got, want)
		}
	}
	f([]uint64{3, 3}, it("a", 10, 1, 3, 3), it("b", 5, 1, 3, 3))
	f([]uint64{0, 0}, it("a", 10, 1, 3, 3), it("b", 5, 1, 3, 3))
	f([]uint64{3, 0}, it("a", 10, 1, 3, 3), it("b", 5, 1, 3, -1))
	f([]uint64{4, 0}, it("a", 10, 0, 9, 1), it("a", 10, 0, 9, 1))
	f([]uint64{1, 1, 0, 0}, it("c", 2, 2, 1, 1), it("c", 2, 2, 1, 1), it("c", 2, 3, 1, 1), it("d", 2, 3, 1, 1))
	f([]uint64{2}, it("d", 2, 0, 5, 1))
	// Foreign values under our keys are no reason to fail.
	e := it("e", 5, 0, 1, 1)
	if _, err := r.Do(t.Context(), "LPUSH "+client.key(&e.id)+" x"); err != nil {
		t.Fatal(err)
	}
	f([]uint64{1}, e)
}

// battery is what every source does.
func battery(t *testing.T, l *Limiter) {
	t.Helper()
	hour := func(name, key string, n uint64) mesh.Quota {
		q := mesh.Quota{Name: name, Key: key, Limit: n, Per: time.Hour, Cost: 1}
		q.Identify(nil)
		return q
	}
	for _, sync := range []bool{false, true} {
		for _, n := range []uint64{3, 100_000} {
			for _, a := range []mesh.Algorithm{mesh.GCRA, mesh.FixedWindow} {
				name := fmt.Sprint(n, a, sync)
				q := hour(name, "k", n)
				q.Sync, q.Algorithm = sync, a
				q.Identify(nil)
				for range 3 {
					if r := once(t, l, q); r.Over {
						t.Errorf("%s: %+v", name, r)
					}
				}
				q.Cost = n
				if r := once(t, l, q); !r.Over || r.RetryAfter <= 0 {
					t.Errorf("%s, more than is left: %+v", name, r)
				}
				q.Cost = n + 1
				if r := once(t, l, q); !r.Over || r.RetryAfter != mesh.Never {
					t.Errorf("%s, more than there is: %+v", name, r)
				}
				q.Cost = 1
				if r := once(t, l, q); r.Over != (n == 3) {
					t.Errorf("%s, one more: %+v", name, r)
				}
				if n, err := l.Reset(name, "k"); err != nil || n != 1 {
					t.Errorf("%s: %d reset, %v", name, n, err)
				}
				if r := once(t, l, q); r.Over {
					t.Errorf("%s, after a reset: %+v", name, r)
				}
				// All or none.
				quotas := []mesh.Quota{q, hour(name+"/none", "k", 1)}
				quotas[1].Sync, quotas[1].Cost = sync, 2
				results := make([]mesh.QuotaResult, 2)
				before, err := l.Get(name, "k")
				if err != nil {
					t.Fatal(err)
				}
				for range 5 {
					if v := l.Charge(t.Context(), quotas, results, mesh.ChargeAll); !v.Over || v.Strictest != 1 {
						t.Errorf("%s: %+v %+v", name, v, results)
					}
				}
				// In a Cluster what was taken in vain is on its way back.
				eventually(t, name+": refusals took nothing", func() bool {
					after, err := l.Get(name, "k")
					return err == nil && len(before) == 1 && len(after) == 1 && total(after[0]) >= total(before[0])
				})
				quotas[0].Shadow, quotas[1].Shadow = true, true
				if v := l.Charge(t.Context(), quotas, results, mesh.ChargeAll); v.Over || v.Strictest != -1 || !results[1].Over {
					t.Errorf("%s, in shadow: %+v %+v", name, v, results)
				}
				quotas[0].Shadow, quotas[1].Shadow = false, false
				if v := l.Charge(t.Context(), quotas, results, mesh.ChargeEach); !v.Over || results[0].Over || !results[1].Over {
					t.Errorf("%s, each: %+v %+v", name, v, results)
				}
			}
		}
	}
	for _, key := range []string{"", strings.Repeat("k", 1<<20), "\x00\xff", "a\r\nFLUSHALL\r\n", "{tag}", "redis.call('FLUSHALL')"} {
		q := hour("hostile", key, 1)
		if r := once(t, l, q); r.Over {
			t.Errorf("%.20q: %+v", key, r)
		}
		if r := once(t, l, q); !r.Over {
			t.Errorf("%.20q: %+v", key, r)
		}
	}
}

func total(v KeyView) uint64 {
	if v.Lease != nil {
		return v.Remaining + v.Lease.Left
	}
	return v.Remaining
}

func TestBattery(t *testing.T) {
	t.Run("local", func(t *testing.T) {
		l, _ := newTestLimiter(t, DefaultConfig())
		battery(t, l)
	})
	t.Run("redis", func(t *testing.T) {
		l, _ := startReplica(t, redisConfig(startRedis(t).Addr))
		battery(t, l)
	})
}

// TestPromise: three replicas are offered five times the limit; what they admit
// stays within the promise over every interval, and is nearly all of it.
func TestPromise(t *testing.T) {
	addr := startRedis(t).Addr
	for _, c := range []struct {
		name     string
		share    []int // of the demand, by replica
		least    float64
		q        mesh.Quota
		duration time.Duration
	}{
		{"balanced", []int{1, 1, 1}, 0.95, mesh.Quota{Limit: 200, Per: time.Second}, 4 * time.Second},
		{"skewed", []int{18, 1, 1}, 0.85, mesh.Quota{Limit: 200, Per: time.Second}, 4 * time.Second},
		{"window", []int{1, 1, 1}, 0.95, mesh.Quota{Limit: 200, Per: time.Second, Algorithm: mesh.FixedWindow}, 4 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := c.q
			q.Name, q.Key, q.Cost = c.name, "k", 1
			q.Identify(nil)
			total := 0
			for _, s := range c.share {
				total += s
			}
			var mu sync.Mutex
			var at []time.Duration
			began := time.Now()
			var wg sync.WaitGroup
			for _, s := range c.share {
				l, stop := startReplica(t, redisConfig(addr))
				rate := float64(5*q.Limit) * float64(s) / float64(total)
				wg.Go(func() {
					defer stop()
					results := make([]mesh.QuotaResult, 1)
					sent := 0.0
					for {
						elapsed := time.Since(began)
						if elapsed > c.duration {
							return
						}
						for ; sent < rate*elapsed.Seconds(); sent++ {
							if v := l.Charge(t.Context(), []mesh.Quota{q}, results, mesh.ChargeAll); !v.Over {
								when := time.Since(began)
								mu.Lock()
								at = append(at, when)
								mu.Unlock()
							}
						}
						time.Sleep(2 * time.Millisecond)
					}
				})
			}
			wg.Wait()
			limit := float64(q.Limit)
			age := DefaultConfig().Redis.LeaseMaxAge.Seconds()
			if q.Algorithm == mesh.FixedWindow {
				if n := float64(len(at)); n > limit*(c.duration.Seconds()+2) || n < c.least*limit*(c.duration.Seconds()-1) {
					t.Errorf("%v admitted in %s", n, c.duration)
				}
				return
			}
			for i := range at {
				for j := i; j < len(at); j++ {
					if n := float64(j - i + 1); n > limit+limit*((at[j]-at[i]).Seconds()+age)+1 {
						t.Fatalf("%v admitted in %s", n, at[j]-at[i])
					}
				}
			}
			if n, want := float64(len(at)), limit*c.duration.Seconds(); n < c.least*want {
				t.Errorf("%v admitted of %v", n, want)
			}
			t.Logf("%d admitted in %s at %v/s", len(at), c.duration, limit)
		})
	}
}

// TestFewRoundTrips: at a steady rate over hot keys nearly nobody waits, with one
// quota for each call or three.
func TestFewRoundTrips(t *testing.T) {
	for _, each := range []int{1, 3} {
		t.Run(strconv.Itoa(each), func(t *testing.T) {
			l, _ := startReplica(t, redisConfig(startRedis(t).Addr))
			var calls [][]mesh.Quota
			for i := range 100 {
				var quotas []mesh.Quota
				for j := range each {
					quotas = append(quotas, perSecond("hot"+strconv.Itoa(j), strconv.Itoa(i), 1000))
				}
				calls = append(calls, quotas)
			}
			results := make([]mesh.QuotaResult, each)
			send := func(d time.Duration) (n int) {
				began := time.Now()
				for elapsed := time.Duration(0); elapsed < d; elapsed = time.Since(began) {
					for ; float64(n) < 5000*elapsed.Seconds(); n++ {
						if v := l.Charge(t.Context(), calls[rand.IntN(len(calls))], results, mesh.ChargeAll); v.Over {
							t.Fatalf("%+v", results)
						}
					}
					time.Sleep(time.Millisecond)
				}
				return n
			}
			send(time.Second)
			batches, items, waits := l.shared.batcher.batches.Load(), l.shared.batcher.items.Load(), l.shared.waits.Load()
			n := send(3 * time.Second)
			batches, items, waits = l.shared.batcher.batches.Load()-batches, l.shared.batcher.items.Load()-items, l.shared.waits.Load()-waits
			t.Logf("%d calls, %d round trips for %d items, %d waited", n, batches, items, waits)
			if batches*100 > uint64(n) {
				t.Errorf("%d round trips for %d calls; want fewer than one in 100", batches, n)
			}
		})
	}
}
