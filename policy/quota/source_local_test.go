package quota

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/mesh"
)

// The test bed has a thread for its processes, to the end.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/tallygate/tallygate/test/testbed.init.func1.1"),
		// Toxiproxy loses goroutines of a link that ends while a toxic is added or has bytes in hand.
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).write"))
}

// running runs l until stop; done says how that ended.
func running(t testing.TB, l *Limiter) (stop func(), done <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d := make(chan error, 1)
	go func() { d <- l.Run(ctx) }()
	return cancel, d
}

// small has a table of the least size.
func small() Config {
	cfg := DefaultConfig()
	cfg.Local.MaxSizeMiB = 1
	return cfg
}

// TestFullTable: new keys share one limit, and nobody who is known is forgiven.
func TestFullTable(t *testing.T) {
	l, c := newTestLimiter(t, small())
	hour := func(key string) mesh.Quota {
		q := mesh.Quota{Name: "q", Key: key, Limit: 10, Per: time.Hour, Cost: 1}
		q.Identify(nil)
		return q
	}
	victim := hour("victim")
	victim.Cost = 10
	if r := once(t, l, victim); r.Over {
		t.Fatalf("%+v", r)
	}
	overflowed, admitted := 0, 0
	for i := range 100_000 {
		c.t = c.t.Add(time.Microsecond)
		if r := once(t, l, hour(fmt.Sprint(i))); r.Source == mesh.QuotaOverflow {
			overflowed++
			if !r.Over {
				admitted++
			}
		}
	}
	keys, bytes := l.local.size()
	if bytes > 1<<20 || overflowed < 80_000 || keys+overflowed != 100_001 {
		t.Errorf("%d keys, %d bytes, %d overflowed", keys, bytes, overflowed)
	}
	if admitted != 10 {
		t.Errorf("%d new keys were admitted; want the 10 of one limit", admitted)
	}
	if uint64(overflowed) != l.local.overflowed.Load() {
		t.Errorf("%d counted; want %d", l.local.overflowed.Load(), overflowed)
	}
	victim.Cost = 1
	if r := once(t, l, victim); !r.Over || r.Source != mesh.QuotaLocal {
		t.Errorf("a known key: %+v; want it refused as before", r)
	}
	// Another limit of the same name does not share.
	other := hour("new")
	other.Limit = 20
	if r := once(t, l, other); r.Over || r.Source != mesh.QuotaOverflow {
		t.Errorf("another tier: %+v", r)
	}
	// Once they are full again their places are free.
	c.t = c.t.Add(2 * time.Hour)
	for i := range 1000 {
		if r := once(t, l, hour(fmt.Sprint("later", i))); r.Source != mesh.QuotaLocal {
			t.Fatalf("key %d of the next generation: %+v", i, r)
		}
	}
}

// TestOverflowIsAllOrNoneToo: a refusal beside it gives its token back.
func TestOverflowIsAllOrNoneToo(t *testing.T) {
	l, _ := newTestLimiter(t, small())
	for i := range 20_000 {
		q := mesh.Quota{Name: "filler", Key: fmt.Sprint(i), Limit: 10, Per: time.Hour, Cost: 1}
		q.Identify(nil)
		once(t, l, q)
	}
	quotas := []mesh.Quota{perSecond("new", "a", 5), perSecond("none", "a", 1)}
	quotas[1].Cost = 2
	results := make([]mesh.QuotaResult, 2)
	for range 10 {
		if v := l.Charge(t.Context(), quotas, results, mesh.ChargeAll); !v.Over || v.Strictest != 1 || results[0].Source != mesh.QuotaOverflow || results[0].Remaining != 5 {
			t.Fatalf("%+v %+v", v, results)
		}
	}
}

// TestLocalIsExact: the table answers what one map of states under one lock
// does, over growth, sweeps and reuse of places.
func TestLocalIsExact(t *testing.T) {
	l, c := newTestLimiter(t, DefaultConfig())
	r := rand.New(rand.NewPCG(9, 10))
	want := map[mesh.QuotaID]state{}
	for i := range 200_000 {
		c.t = c.t.Add(time.Duration(r.IntN(200)) * time.Microsecond)
		now := c.t.UnixNano()
		q := perSecond("q", fmt.Sprint(r.IntN(1+i/10)), 1+uint64(r.IntN(3)))
		q.Algorithm = mesh.Algorithm(r.IntN(2))
		q.Identify(nil)
		lim := limitOf(&q)
		var res mesh.QuotaResult
		want[q.ID], res = spend(now, &lim, want[q.ID], 1)
		if got := once(t, l, q); got != res {
			t.Fatalf("charge %d: got %+v; want %+v", i, got, res)
		}
	}
}

// TestLocalAtOnce: many goroutines charge pairs of quotas in both orders; the
// sum of what is admitted is the limit, to the token.
func TestLocalAtOnce(t *testing.T) {
	l, _ := newTestLimiter(t, DefaultConfig())
	a, b := perSecond("a", "x", 500), perSecond("b", "y", 400)
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			quotas := []mesh.Quota{a, b}
			if g%2 == 1 {
				quotas = []mesh.Quota{b, a}
			}
			results := make([]mesh.QuotaResult, 2)
			for i := range 200 {
				once(t, l, perSecond("filler", fmt.Sprint(g, i), 1)) // the tables grow meanwhile
				if v := l.Charge(t.Context(), quotas, results, mesh.ChargeAll); !v.Over {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n != 400 {
		t.Errorf("%d admitted; want 400", n)
	}
	if got, _ := l.Get("a", "x"); len(got) != 1 || got[0].Remaining != 100 {
		t.Errorf("the wider quota: %+v; want 100 left", got)
	}
}

// TestHostileKeys: they are as good as any other, of whatever size and bytes.
func TestHostileKeys(t *testing.T) {
	l, _ := newTestLimiter(t, DefaultConfig())
	for _, key := range []string{
		"", strings.Repeat("k", 1<<20), strings.Repeat("k", 1<<20+1), "\x00", "\x00\x00", "\xff\xfe", "a\r\nFLUSHALL\r\n",
		"redis.call('FLUSHALL')", "{tag}", "*", "${jndi:x}", "a\x00b", "é", "\u0065\u0301",
	} {
		q := perSecond("q", key, 2)
		for i, over := range []bool{false, false, true} {
			if r := once(t, l, q); r.Over != over {
				t.Errorf("%.20q, charge %d: over %v; want %v", key, i, r.Over, over)
			}
		}
		if got, _ := l.Get("q", key); len(got) != 1 || got[0].Over != 1 {
			t.Errorf("%.20q: %+v", key, got)
		}
	}
	// Name and key do not run into each other.
	if r := once(t, l, perSecond("qa", "b", 1)); r.Over {
		t.Errorf("%+v", r)
	}
	if r := once(t, l, perSecond("q", "ab", 1)); r.Over {
		t.Errorf("%+v", r)
	}
}

func TestNamesAreBounded(t *testing.T) {
	l, _ := newTestLimiter(t, DefaultConfig())
	for i := range 10_000 {
		once(t, l, perSecond(fmt.Sprint("name", i), "k", uint64(1+i)))
	}
	if n := len(l.register.all()); n != maxNames+1 {
		t.Errorf("%d names have books; want %d", n, maxNames+1)
	}
	if n := len(l.register.specs); n != maxSpecs {
		t.Errorf("%d limits are told apart; want %d", n, maxSpecs)
	}
	if n := l.register.other.passed.Load(); n != 10_000-maxNames {
		t.Errorf("%d charges of others; want %d", n, 10_000-maxNames)
	}
	l.List()
}

func BenchmarkCharge(b *testing.B) {
	l, err := newBenchLimiter()
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprintf("quotas=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var quotas []mesh.Quota
				for i := range n {
					quotas = append(quotas, perSecond(fmt.Sprint("q", i), fmt.Sprint(rand.Int()), 1<<30))
				}
				results := make([]mesh.QuotaResult, n)
				for pb.Next() {
					l.Charge(context.Background(), quotas, results, mesh.ChargeAll)
				}
			})
		})
	}
}

// BenchmarkMillionKeys states the bytes per live key.
func BenchmarkMillionKeys(b *testing.B) {
	for b.Loop() {
		l, err := newBenchLimiter()
		if err != nil {
			b.Fatal(err)
		}
		results := make([]mesh.QuotaResult, 1)
		var scratch []byte
		for i := range 1_000_000 {
			q := mesh.Quota{Name: "q", Key: fmt.Sprintf("user-%032d", i), Limit: 10, Per: time.Hour, Cost: 1}
			scratch = q.Identify(scratch)
			l.Charge(context.Background(), []mesh.Quota{q}, results, mesh.ChargeAll)
		}
		keys, bytes := l.local.size()
		if keys != 1_000_000 || l.local.overflowed.Load() != 0 {
			b.Fatalf("%d keys, %d overflowed", keys, l.local.overflowed.Load())
		}
		b.ReportMetric(float64(bytes)/float64(keys), "B/key")
	}
}
