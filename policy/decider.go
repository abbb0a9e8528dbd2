package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy/cache"
)

// Options are what a Decider needs beside its configuration.
type Options struct {
	Metrics prometheus.Registerer
	Log     *slog.Logger
	Stdout  io.Writer        // of the decision log
	Quotas  mesh.Limiter     // charges what decisions name; without one a decision that names quotas is a failure
	Now     func() time.Time // nil for time.Now
	// OPA takes the records of the sink opa, one at a time and never while a
	// proxy waits. The record and the verdict, nil for a failure, are lent.
	OPA func(context.Context, *Record, *mesh.Verdict) error
}

// Decider answers queries. It implements [mesh.Decider]; all methods may be
// called at once.
type Decider struct {
	cfg     atomic.Pointer[Config]
	current atomic.Pointer[generation] // nil before the first
	ids     atomic.Uint64              // of generations
	cache   atomic.Pointer[cache.Cache[*outcome]]
	evicted atomic.Uint64 // by caches that a reload replaced
	flights *cache.Flights[*outcome]
	limit   *limiter
	log     *decisionLog
	shadow  *shadow
	quotas  mesh.Limiter
	m       *metrics

	recording atomic.Pointer[recording] // nil unless one is under way

	now     func() time.Time
	scratch sync.Pool // of *scratch
}

// scratch is what a decision needs and the next one reuses.
type scratch struct {
	key   []byte
	entry entry
	n     uint
}

// New validates cfg. Until Activate every decision is [ErrNoRules].
func New(cfg Config, opts Options) (*Decider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	d := &Decider{flights: cache.NewFlights[*outcome](), quotas: opts.Quotas, now: opts.Now}
	if d.now == nil {
		d.now = time.Now
	}
	d.scratch.New = func() any { return &scratch{key: make([]byte, 0, 1<<10)} }
	d.cfg.Store(&cfg)
	d.cache.Store(cache.New[*outcome](int64(cfg.Cache.MaxSizeMiB) << 20))
	d.limit = newLimiter(cfg.MaxEvaluations, cfg.EvaluationTimeout)
	d.m = newMetrics(opts.Metrics, d)
	var err error
	if d.log, err = newDecisionLog(cfg.DecisionLog, d.m, opts); err != nil {
		return nil, fmt.Errorf("policy.decision_log: %w", err)
	}
	d.shadow = newShadow(cfg.Shadow, d)
	return d, nil
}

// Run writes the decision log and runs the shadow until ctx ends; what waits in
// the log is written before it returns.
func (d *Decider) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { d.shadow.run(ctx) })
	err := d.log.run(ctx)
	if r := d.recording.Swap(nil); r != nil {
		close(r.stop)
	}
	wg.Wait()
	return err
}

// Reconfigure changes everything that cfg says, or nothing and says why.
func (d *Decider) Reconfigure(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	before := d.cfg.Load()
	if err := d.log.configure(cfg.DecisionLog); err != nil {
		return fmt.Errorf("policy.decision_log: %w", err)
	}
	d.limit.configure(cfg.MaxEvaluations, cfg.EvaluationTimeout)
	d.shadow.configure(cfg.Shadow)
	d.cfg.Store(&cfg)
	if before.Cache != cfg.Cache { // also what a shorter TTL should not have kept
		old := d.cache.Swap(cache.New[*outcome](int64(cfg.Cache.MaxSizeMiB) << 20))
		d.evicted.Add(old.Stats().Evictions)
	}
	return nil
}

// Activate makes r the rules of all decisions that begin from now on; what the
// earlier ones said is forgotten.
func (d *Decider) Activate(r Rules) {
	d.current.Store(&generation{id: d.ids.Add(1), rules: r, revision: r.Revision(), since: d.now()})
	d.cache.Load().Clear()
	d.m.activations.Inc()
}

// ActivateShadow makes r the candidate; nil ends the shadow.
func (d *Decider) ActivateShadow(r Rules) { d.shadow.activate(r) }

// Revision is that of the active rules; ok is false before the first.
func (d *Decider) Revision() (revision string, ok bool) {
	g := d.current.Load()
	if g == nil {
		return "", false
	}
	return g.revision, true
}

// LastDecisions returns what the decision log has in memory, the newest first.
func (d *Decider) LastDecisions() []Record { return d.log.last() }

// LastDifferences returns the last requests that the candidate judged
// differently, the newest first.
func (d *Decider) LastDifferences() []Difference { return d.shadow.kept.newest() }

// Decide implements [mesh.Decider]. It returns within the timeout, or when ctx
// ends; only one who leads the evaluation for others stays until that ends.
func (d *Decider) Decide(ctx context.Context, q *mesh.Query) (mesh.Decision, error) {
	began := d.now()
	s := d.scratch.Get().(*scratch)
	g := d.current.Load()
	var e *entrypoint
	err := ErrNoRules
	if g != nil {
		e, err = g.entrypoint(q.Entrypoint)
	}
	var o *outcome
	var hit bool
	if err == nil {
		o, hit, err = d.decide(ctx, s, g, e, q, began)
	}
	var charged mesh.Decision
	if err == nil && o.verdict.Allowed && len(o.verdict.Quotas) > 0 && !q.Uncharged {
		err = d.charge(ctx, q, o.verdict, &charged)
	}
	took := d.now().Sub(began)

	// entry is as large as it is so that this is one copy: see entry.
	s.entry = entry{time: began, generation: g, listener: q.Listener, hit: hit, took: took}
	s.entry.setTrace(q.TraceID)
	var decision mesh.Decision
	if err != nil {
		reason := failure(err)
		d.m.errors.WithLabelValues(reason).Inc()
		s.entry.failure, s.entry.entrypoint = err.Error(), "unknown"
	} else {
		decision = mesh.Decision{Verdict: o.verdict, ID: newID(), Hit: hit, Charges: charged.Charges, Charge: charged.Charge}
		if charged.Charges != nil {
			s.entry.setQuotas(&decision)
		}
		s.entry.id, s.entry.verdict = decision.ID, o.verdict
		o.counter.Inc()
		if hit {
			d.m.total.Observe(took.Seconds())
		} else {
			d.m.totalMiss.Observe(took.Seconds())
		}
	}
	if e != nil {
		s.entry.entrypoint = e.label
	}
	if r := d.recording.Load(); r != nil {
		r.offer(s.entry, q.Request)
	}
	d.log.add(&s.entry, q.Request)
	if err == nil {
		d.shadow.offer(e, q, o.verdict)
	}
	d.scratch.Put(s)
	return decision, err
}

// decide answers from the cache or evaluates.
func (d *Decider) decide(ctx context.Context, s *scratch, g *generation, e *entrypoint, q *mesh.Query, began time.Time) (o *outcome, hit bool, err error) {
	cfg := d.cfg.Load()
	bypass := ""
	switch {
	case !cfg.Cache.Enabled:
		bypass = bypassDisabled
	case !e.shape.Cacheable:
		bypass = bypassShape
	default:
		var ok bool
		if s.key, ok = appendKey(append(s.key[:0], e.heads[q.Listener]...), &e.shape, q.Request, cfg.Cache.MaxKeyBytes); !ok {
			bypass = bypassKey
		}
	}
	if bypass != "" {
		d.m.bypass.WithLabelValues(bypass).Inc()
		own, cancel := context.WithTimeout(ctx, cfg.EvaluationTimeout)
		defer cancel()
		o, err = d.evaluate(own, g, e, q.Request)
		return o, false, err
	}

	kept := d.cache.Load()
	o, found := kept.Get(s.key, began)
	if s.n++; s.n%64 == 0 {
		d.m.key.Observe(d.now().Sub(began).Seconds())
	}
	switch found {
	case cache.Hit:
		d.m.hits.Inc()
		return o, true, nil
	case cache.Stale:
		d.m.stale.Inc()
	default:
		d.m.misses.Inc()
	}
	o, led, err := d.flights.Do(ctx, s.key, cfg.EvaluationTimeout, func(own context.Context) (*outcome, error) {
		// One that ended after the look-up has answered this.
		if o, found := kept.Get(s.key, d.now()); found == cache.Hit {
			return o, nil
		}
		return d.evaluateAndKeep(own, kept, cfg, g, e, q.Request, s.key)
	})
	if led || err != nil {
		return o, false, err
	}
	if o.kept {
		d.m.joined.Inc()
		return o, false, nil
	}
	// It is not to be given twice: this one needs its own.
	own, cancel := context.WithTimeout(ctx, cfg.EvaluationTimeout)
	defer cancel()
	o, err = d.evaluate(own, g, e, q.Request)
	return o, false, err
}

func (d *Decider) evaluateAndKeep(ctx context.Context, kept *cache.Cache[*outcome], cfg *Config, g *generation, e *entrypoint, r mesh.Request, key []byte) (*outcome, error) {
	began := d.now()
	result, err := d.judge(ctx, g, e, r)
	if err != nil {
		return nil, err
	}
	o := d.m.outcome(e, result.Verdict)
	expires, reason := cfg.Cache.life(began, &e.shape, &result)
	if reason == "" {
		o.kept = true
		if !kept.Put(key, o, o.size(), began, expires) {
			reason = keptTooLarge
		}
	}
	if reason != "" {
		d.m.unstored.WithLabelValues(reason).Inc()
	}
	return o, nil
}

func (d *Decider) evaluate(ctx context.Context, g *generation, e *entrypoint, r mesh.Request) (*outcome, error) {
	result, err := d.judge(ctx, g, e, r)
	if err != nil {
		return nil, err
	}
	return d.m.outcome(e, result.Verdict), nil
}

// judge evaluates the rules within the limit.
func (d *Decider) judge(ctx context.Context, g *generation, e *entrypoint, r mesh.Request) (result Result, err error) {
	if !d.limit.acquire() {
		d.m.shed.Inc()
		return Result{}, ErrOverload
	}
	began := d.now()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrAborted, p)
		}
		now := d.now()
		took := now.Sub(began)
		d.limit.release(now, took)
		d.m.evaluated.Observe(took.Seconds())
	}()
	result, err = g.rules.Evaluate(ctx, e.name, r)
	if err != nil {
		// OPA says "cancelled" in its own words.
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return Result{}, fmt.Errorf("evaluating %s: %w", e.label, err)
	}
	if result.Verdict == nil {
		return Result{}, fmt.Errorf("evaluating %s: the rules said nothing", e.label)
	}
	return result, nil
}
