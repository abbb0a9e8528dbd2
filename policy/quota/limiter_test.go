package quota

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
)

// testClock is set by hand.
type testClock struct{ t time.Time }

func (c *testClock) now() time.Time { return c.t }

func newTestLimiter(t testing.TB, cfg Config) (*Limiter, *testClock) {
	t.Helper()
	c := &testClock{time.Unix(1_000_000_000, 0)}
	l, err := New(cfg, Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

func perSecond(name, key string, n uint64) mesh.Quota {
	q := mesh.Quota{Name: name, Key: key, Limit: n, Per: time.Second, Cost: 1}
	q.Identify(nil)
	return q
}

func TestChargeAllOrNone(t *testing.T) {
	l, _ := newTestLimiter(t, DefaultConfig())
	quotas := []mesh.Quota{perSecond("wide", "a", 10), perSecond("narrow", "a", 2), perSecond("watched", "a", 1)}
	quotas[2].Shadow = true
	results := make([]mesh.QuotaResult, 3)
	for i := range 5 {
		v := l.Charge(t.Context(), quotas, results, mesh.ChargeAll)
		if want := i >= 2; v.Over != want || v.Strictest != 1 {
			t.Fatalf("charge %d: %+v; want over %v by quota 1", i, v, want)
		}
	}
	if got := results[0].Remaining; got != 8 {
		t.Errorf("the wide quota has %d left; want 8: refused charges cost nothing", got)
	}
	if !results[1].Over || results[1].RetryAfter != 500*time.Millisecond {
		t.Errorf("the narrow quota says %+v; want to come again in 500ms", results[1])
	}
}

func TestChargeEach(t *testing.T) {
	l, _ := newTestLimiter(t, DefaultConfig())
	quotas := []mesh.Quota{perSecond("wide", "a", 10), perSecond("narrow", "a", 2)}
	results := make([]mesh.QuotaResult, 2)
	for range 5 {
		l.Charge(t.Context(), quotas, results, mesh.ChargeEach)
	}
	if got := results[0].Remaining; got != 5 {
		t.Errorf("the wide quota has %d left; want 5", got)
	}
}

// TestSameKeyTwice: a key that comes twice in one charge is charged twice or
// not at all.
func TestSameKeyTwice(t *testing.T) {
	l, _ := newTestLimiter(t, DefaultConfig())
	q := perSecond("q", "a", 3)
	quotas, results := []mesh.Quota{q, q}, make([]mesh.QuotaResult, 2)
	for i, over := range []bool{false, true} {
		if v := l.Charge(t.Context(), quotas, results, mesh.ChargeAll); v.Over != over {
			t.Fatalf("charge %d: over %v; want %v", i, v.Over, over)
		}
	}
	if v := l.Charge(t.Context(), quotas[:1], results, mesh.ChargeAll); v.Over || results[0].Remaining != 0 {
		t.Errorf("the third token: %+v; want it to be there still", results[0])
	}
}

func TestChargeAllocatesNothing(t *testing.T) {
	l, _ := newTestLimiter(t, DefaultConfig())
	var quotas []mesh.Quota
	for i := range 3 {
		quotas = append(quotas, perSecond(fmt.Sprint("q", i), "somebody", 1<<30))
	}
	results := make([]mesh.QuotaResult, len(quotas))
	scratch := make([]byte, 0, 256)
	for _, mode := range []mesh.ChargeMode{mesh.ChargeAll, mesh.ChargeEach} {
		if n := testing.AllocsPerRun(1000, func() {
			for i := range quotas {
				scratch = quotas[i].Identify(scratch)
			}
			l.Charge(t.Context(), quotas, results, mode)
		}); n != 0 {
			t.Errorf("mode %d: %v allocations; want 0", mode, n)
		}
	}
}

// TestReconfigure: what may change while quotas are charged does, and nothing that
// was counted is lost.
func TestReconfigure(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Local.MaxSizeMiB = 1
	l, _ := newTestLimiter(t, cfg)
	alice := perSecond("q", "alice", 2)
	alice.Per = time.Hour
	alice.Identify(nil)
	once(t, l, alice)
	fill := func() (n int) {
		t.Helper()
		for ; ; n++ {
			q := mesh.Quota{Name: "q", Key: fmt.Sprint("k", rand.Int()), Limit: 1000, Per: time.Hour, Cost: 1}
			q.Identify(nil)
			if once(t, l, q).Source == mesh.QuotaOverflow {
				return n
			}
		}
	}
	first := fill()
	cfg.Local.MaxSizeMiB = 4
	if err := l.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	if more := fill(); more < 2*first {
		t.Errorf("%d keys found room in 1 MiB, then %d more in 4", first, more)
	}
	once(t, l, alice)
	if r := once(t, l, alice); !r.Over {
		t.Errorf("what alice used is forgotten: %+v", r)
	}
	cfg.TopKeys = -1
	if err := l.Reconfigure(cfg); err == nil {
		t.Error("a configuration that makes no sense is put to use")
	}
}

// TestReconfigureOnError: it answers while Redis does not.
func TestReconfigureOnError(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Source, cfg.OnError, cfg.Redis.Addresses = SourceRedis, "deny", []string{"127.0.0.1:1"}
	l, _ := newTestLimiter(t, cfg)
	f := func(onError string, want mesh.QuotaResult) {
		t.Helper()
		cfg.OnError = onError
		if err := l.Reconfigure(cfg); err != nil {
			t.Fatal(err)
		}
		if r := once(t, l, perSecond("q", "k", 10)); r.Over != want.Over || r.Source != want.Source {
			t.Errorf("%s: %+v; want %+v", onError, r, want)
		}
	}
	f("deny", mesh.QuotaResult{Over: true, Source: mesh.QuotaFailed})
	f("allow", mesh.QuotaResult{Source: mesh.QuotaFailed})
	f("local", mesh.QuotaResult{Source: mesh.QuotaFallback})
}
