package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a set of rules made of functions.
type fake struct {
	shape    Shape
	evaluate func(ctx context.Context, entrypoint string, r mesh.Request) (Result, error)
	calls    atomic.Int64
	revision string
}

func (f *fake) Shape(entrypoint string) (Shape, error) {
	if entrypoint == "none" {
		return Shape{}, errors.New("it is not defined")
	}
	return f.shape, nil
}

func (f *fake) Evaluate(ctx context.Context, entrypoint string, r mesh.Request) (Result, error) {
	f.calls.Add(1)
	return f.evaluate(ctx, entrypoint, r)
}

func (f *fake) Revision() string { return f.revision }

var (
	pathUser = mesh.Path{"user"}
	pathN    = mesh.Path{"n"}
)

// allowAlice reads input.user.
func allowAlice() *fake {
	return &fake{
		shape: Shape{Paths: []mesh.Path{pathUser}, Cacheable: true},
		evaluate: func(_ context.Context, _ string, r mesh.Request) (Result, error) {
			v, _ := r.Lookup(pathUser)
			return Result{Verdict: &mesh.Verdict{Allowed: v.Text == "alice", Rule: "authz/allow", Reason: "by name"}}, nil
		},
	}
}

func input(t testing.TB, format string, args ...any) *Input {
	t.Helper()
	in, err := ParseInput(fmt.Appendf(nil, format, args...))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func newTestDecider(t testing.TB, change func(*Config)) (*Decider, *prometheus.Registry) {
	t.Helper()
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	reg := prometheus.NewPedanticRegistry()
	d, err := New(cfg, Options{Metrics: reg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return d, reg
}

// value adds the samples of a metric whose labels include the given pairs.
func value(t testing.TB, reg prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, f := range families {
		if f.GetName() != "tallygate_policy_"+name {
			continue
		}
	next:
		for _, m := range f.Metric {
			for i := 0; i < len(labels); i += 2 {
				found := false
				for _, l := range m.Label {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue next
				}
			}
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return total
}

func decide(t testing.TB, d *Decider, r mesh.Request) mesh.Decision {
	t.Helper()
	got, err := d.Decide(t.Context(), &mesh.Query{Request: r})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestDecide(t *testing.T) {
	d, reg := newTestDecider(t, nil)
	if _, err := d.Decide(t.Context(), &mesh.Query{Request: input(t, "{}")}); !errors.Is(err, ErrNoRules) {
		t.Errorf("before the first generation: %v", err)
	}
	rules := allowAlice()
	d.Activate(rules)
	ids := map[string]bool{}
	for i := range 10 {
		got := decide(t, d, input(t, `{"user": "alice", "n": %d}`, i))
		if !got.Allowed || got.Hit != (i > 0) || ids[got.ID] || len(got.ID) != 32 {
			t.Errorf("alice: %+v, %t, %q", got.Allowed, got.Hit, got.ID)
		}
		ids[got.ID] = true
	}
	if got := decide(t, d, input(t, `{"user": "bob"}`)); got.Allowed || got.Hit {
		t.Errorf("bob: %+v", got)
	}
	if n := rules.calls.Load(); n != 2 {
		t.Errorf("%d evaluations; want 2", n)
	}
	_, err := d.Decide(t.Context(), &mesh.Query{Entrypoint: "none", Request: input(t, "{}")})
	if !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown entrypoint: %v", err)
	}
	f := func(want float64, name string, labels ...string) {
		t.Helper()
		if got := value(t, reg, name, labels...); got != want {
			t.Errorf("%s%q = %v; want %v", name, labels, got, want)
		}
	}
	f(10, "decisions_total", "entrypoint", "default", "verdict", "allow", "rule", "authz/allow")
	f(1, "decisions_total", "verdict", "deny")
	f(9, "cache_requests_total", "result", "hit")
	f(2, "cache_requests_total", "result", "miss")
	f(1, "errors_total", "reason", "no_policy")
	f(1, "errors_total", "reason", "unknown_entrypoint")
	f(2, "cache_entries")
	f(1, "generation")
	f(9, "decision_duration_seconds", "cache", "hit")
}

// TestNothingIsShared: not between generations, entrypoints, or kinds of
// listener.
func TestNothingIsShared(t *testing.T) {
	d, _ := newTestDecider(t, nil)
	for range 2 {
		rules := allowAlice()
		d.Activate(rules)
		n := int64(0)
		for _, entrypoint := range []string{"", "a", "b"} {
			for l := range mesh.ListenerReplay + 1 {
				for _, hit := range []bool{false, true} {
					got, err := d.Decide(t.Context(), &mesh.Query{Entrypoint: entrypoint, Listener: l, Request: input(t, `{"user": "alice"}`)})
					if err != nil || got.Hit != hit {
						t.Errorf("%q, %s: hit %t, %v; want %t", entrypoint, l, got.Hit, err, hit)
					}
				}
				n++
			}
		}
		if rules.calls.Load() != n {
			t.Errorf("%d evaluations; want %d", rules.calls.Load(), n)
		}
	}
}

// TestReloadDuringEvaluation: what the old rules said late is not given by the
// new ones.
func TestReloadDuringEvaluation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newTestDecider(t, nil)
		old := allowAlice()
		say := old.evaluate
		old.evaluate = func(ctx context.Context, e string, r mesh.Request) (Result, error) {
			time.Sleep(10 * time.Millisecond)
			return say(ctx, e, r)
		}
		d.Activate(old)
		in := input(t, `{"user": "alice"}`)
		go func() { _, _ = d.Decide(t.Context(), &mesh.Query{Request: in}) }()
		synctest.Wait()
		d.Activate(&fake{shape: old.shape, evaluate: func(context.Context, string, mesh.Request) (Result, error) {
			return Result{Verdict: &mesh.Verdict{}}, nil
		}})
		time.Sleep(time.Second)
		if got := decide(t, d, input(t, `{"user": "alice"}`)); got.Allowed || got.Hit {
			t.Errorf("%+v", got)
		}
	})
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, reg := newTestDecider(t, nil)
		rules := allowAlice()
		d.Activate(rules)
		f := func(user string, wantHit bool) {
			t.Helper()
			if got := decide(t, d, input(t, `{"user": %q}`, user)); got.Hit != wantHit {
				t.Errorf("%s: hit %t; want %t", user, got.Hit, wantHit)
			}
		}
		f("alice", false)
		f("bob", false)
		time.Sleep(10*time.Second - 1)
		f("bob", true)
		time.Sleep(1 * time.Nanosecond)
		f("bob", false) // a denial lives shorter
		f("alice", true)
		time.Sleep(50 * time.Second)
		f("alice", false)
		if got := value(t, reg, "cache_requests_total", "result", "stale"); got != 2 {
			t.Errorf("%v stale; want 2", got)
		}
	})
}

func TestNotKept(t *testing.T) {
	boom := errors.New("boom")
	f := func(name string, wantReason string, change func(*fake, *Config)) {
		t.Helper()
		rules := allowAlice()
		d, reg := newTestDecider(t, func(c *Config) { change(rules, c) })
		d.Activate(rules)
		for range 3 {
			got, err := d.Decide(t.Context(), &mesh.Query{Request: input(t, `{"user": "alice"}`)})
			if err == nil && (got.Hit || !got.Allowed) || err != nil && !errors.Is(err, boom) && !errors.Is(err, ErrAborted) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		if n := rules.calls.Load(); n != 3 {
			t.Errorf("%s: %d evaluations; want 3", name, n)
		}
		n := value(t, reg, "cache_requests_total", "reason", wantReason) + value(t, reg, "cache_unstored_total", "reason", wantReason) +
			value(t, reg, "errors_total", "reason", wantReason)
		if n != 3 {
			t.Errorf("%s: %v counted as %s; want 3", name, n, wantReason)
		}
	}
	result := func(fk *fake, change func(*Result)) {
		fk.evaluate = func(context.Context, string, mesh.Request) (Result, error) {
			r := Result{Verdict: &mesh.Verdict{Allowed: true}}
			change(&r)
			return r, nil
		}
	}
	f("a cache that is off", "disabled", func(_ *fake, c *Config) { c.Cache.Enabled = false })
	f("a shape that is not cacheable", "not_cacheable", func(fk *fake, _ *Config) { fk.shape.Cacheable = false })
	f("a key that is too large", "key_too_large", func(_ *fake, c *Config) { c.Cache.MaxKeyBytes = 12 })
	f("no_store", "no_store", func(fk *fake, _ *Config) { result(fk, func(r *Result) { r.Cache.NoStore = true }) })
	f("a changing decision", "no_ttl", func(fk *fake, _ *Config) { fk.shape.NeedsTTL = true })
	f("an expired token", "expired", func(fk *fake, _ *Config) { result(fk, func(r *Result) { r.Expires = time.Unix(1, 0) }) })
	f("a huge result", "too_large", func(fk *fake, _ *Config) {
		result(fk, func(r *Result) { r.Verdict.Body = string(make([]byte, 8<<20)) })
	})
	f("a failure", "evaluation", func(fk *fake, _ *Config) {
		fk.evaluate = func(context.Context, string, mesh.Request) (Result, error) { return Result{}, boom }
	})
	f("a panic", "panic", func(fk *fake, _ *Config) {
		fk.evaluate = func(context.Context, string, mesh.Request) (Result, error) { panic("loud") }
	})
}

func TestStampede(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, reg := newTestDecider(t, nil)
		rules := allowAlice()
		say := rules.evaluate
		rules.evaluate = func(ctx context.Context, e string, r mesh.Request) (Result, error) {
			time.Sleep(20 * time.Millisecond)
			return say(ctx, e, r)
		}
		d.Activate(rules)
		leader, giveUp := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 1000 {
			ctx := t.Context()
			if i == 0 {
				ctx = leader
			}
			in := input(t, `{"user": "alice", "n": %d}`, i)
			wg.Go(func() {
				if got, err := d.Decide(ctx, &mesh.Query{Request: in}); err != nil || !got.Allowed {
					t.Errorf("%v, %v", got, err)
				}
			})
			if i == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		giveUp()
		wg.Wait()
		if n := rules.calls.Load(); n != 1 {
			t.Errorf("%d evaluations", n)
		}
		if n := value(t, reg, "cache_joined_total"); n != 999 {
			t.Errorf("%v joined", n)
		}
	})
}

// TestTimeout: an evaluation that heeds its context fails at the deadline, and
// too many of them are refused at once.
func TestTimeoutAndOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, reg := newTestDecider(t, func(c *Config) { c.EvaluationTimeout, c.MaxEvaluations = 100*time.Millisecond, 3 })
		d.Activate(&fake{
			shape: Shape{Paths: []mesh.Path{pathN}, Cacheable: true},
			evaluate: func(ctx context.Context, _ string, _ mesh.Request) (Result, error) {
				<-ctx.Done()
				return Result{}, errors.New("cancelled")
			},
		})
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 10 {
			in := input(t, `{"n": %d}`, i)
			wg.Go(func() {
				_, err := d.Decide(t.Context(), &mesh.Query{Request: in})
				switch took := time.Since(began); {
				case errors.Is(err, context.DeadlineExceeded) && took == 100*time.Millisecond:
				case errors.Is(err, ErrOverload) && took == 0:
				default:
					t.Errorf("%v after %s", err, took)
				}
			})
		}
		wg.Wait()
		if a, b := value(t, reg, "errors_total", "reason", "timeout"), value(t, reg, "shed_total"); a != 3 || b != 7 {
			t.Errorf("%v timed out, %v shed; want 3, 7", a, b)
		}
		if n := value(t, reg, "evaluations_in_flight"); n != 0 {
			t.Errorf("%v in flight", n)
		}
	})
}

// TestNotGivenTwice: those who joined an evaluation that says no_store have
// their own.
func TestNotGivenTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newTestDecider(t, nil)
		rules := &fake{shape: Shape{Cacheable: true}, evaluate: func(context.Context, string, mesh.Request) (Result, error) {
			time.Sleep(time.Millisecond)
			return Result{Verdict: &mesh.Verdict{Allowed: true}, Cache: CacheHint{NoStore: true}}, nil
		}}
		d.Activate(rules)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { decide(t, d, input(t, "{}")) })
		}
		wg.Wait()
		if n := rules.calls.Load(); n != 5 {
			t.Errorf("%d evaluations; want 5", n)
		}
	})
}

func TestReconfigure(t *testing.T) {
	d, _ := newTestDecider(t, nil)
	rules := allowAlice()
	d.Activate(rules)
	decide(t, d, input(t, `{"user": "alice"}`))
	cfg := DefaultConfig()
	cfg.EvaluationTimeout = time.Second
	if err := d.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	if !decide(t, d, input(t, `{"user": "alice"}`)).Hit {
		t.Error("the cache is empty after a change elsewhere")
	}
	cfg.Cache.MaxTTL = time.Second
	if err := d.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	if decide(t, d, input(t, `{"user": "alice"}`)).Hit {
		t.Error("what was kept under the old rules of keeping is still there")
	}
	cfg.MaxEvaluations = 0
	if err := d.Reconfigure(cfg); err == nil {
		t.Error("accepted")
	}
}

func TestRulesAreBounded(t *testing.T) {
	d, reg := newTestDecider(t, nil)
	d.Activate(&fake{shape: Shape{Paths: []mesh.Path{pathN}, Cacheable: true}, evaluate: func(_ context.Context, _ string, r mesh.Request) (Result, error) {
		v, _ := r.Lookup(pathN)
		return Result{Verdict: &mesh.Verdict{Rule: "rule " + v.Text}}, nil
	}})
	for i := range 300 {
		decide(t, d, input(t, `{"n": %d}`, i))
	}
	if n := value(t, reg, "decisions_total", "rule", "other"); n != 100 {
		t.Errorf("%v decisions of other rules; want 100", n)
	}
}

// TestHitAllocations: the id of the decision, and nothing else.
func TestHitAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	d, _ := newTestDecider(t, func(c *Config) { c.DecisionLog.QueueSize, c.DecisionLog.InputSample = 1, 0 })
	d.Activate(allowAlice())
	q := &mesh.Query{Request: input(t, `{"user": "alice"}`), TraceID: "0af7651916cd43dd8448eb211c80319c"}
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := d.Decide(ctx, q); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations; want 1", n)
	}
}

func BenchmarkHit(b *testing.B) {
	d, _ := newTestDecider(b, nil)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()
	d.Activate(allowAlice())
	var queries []*mesh.Query
	for i := range 2000 {
		queries = append(queries, &mesh.Query{Request: input(b, `{"user": "user %d"}`, i), TraceID: "0af7651916cd43dd8448eb211c80319c"})
		decide(b, d, queries[i].Request)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := d.Decide(ctx, queries[i%2000]); err != nil {
				b.Fatal(err)
			}
		}
	})
	cancel()
	<-done
}
