package spans

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/mesh"
)

// Options are what a Sink needs beside its configuration.
type Options struct {
	Version string // of Tallygate: the scope's version
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Sink makes spans of batches and takes spans. What it has it hands to
// destinations in the goroutine of Run.
type Sink struct {
	opts  Options
	m     *metrics
	edges *edges
	seen  *seen

	settings atomic.Pointer[settings]
	makers   []*maker
	full     chan ptrace.Traces
	waiting  atomic.Int64 // spans in full
	books    flow

	delivery sync.Mutex // held while destinations are handed something or change
	to       []*Destination
}

// settings are what a reload changes.
type settings struct {
	cfg     Config
	active  bool
	sampler *sampler
}

// Destination is a consumer and the id by which the configuration knows it.
type Destination struct {
	ID     string
	Traces consumer.Traces

	begin flowed // what had flowed when it became one
	down  bool   // it refused the last spans
}

// New validates cfg and allocates. It registers tallygate_spans_*.
func New(cfg Config, opts Options) (*Sink, error) {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	s := &Sink{opts: opts, edges: newEdges(), seen: new(seen), full: make(chan ptrace.Traces, 1024)}
	for range runtime.GOMAXPROCS(0) {
		s.makers = append(s.makers, newMaker(opts.Version))
	}
	var err error
	if s.m, err = newMetrics(opts.Metrics); err != nil {
		return nil, fmt.Errorf("metrics of spans: %w", err)
	}
	return s, s.Reconfigure(cfg)
}

// Reconfigure changes what is sampled from the next batch on.
func (s *Sink) Reconfigure(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	s.settings.Store(&settings{
		cfg: cfg, active: cfg.Mode != ModeOff && len(cfg.Exporters) > 0, sampler: newSampler(&cfg),
	})
	return nil
}

// Consume implements [mesh.Sink]. It never fails and never waits for an exporter.
func (s *Sink) Consume(_ context.Context, b *mesh.Batch) error {
	set := s.settings.Load()
	if !set.active || b.Details == nil {
		return nil
	}
	now := b.Received.UnixNano()
	var mk *maker
	var at edgeKey
	var edge *edge
	var p p99
	for i := range b.Entries {
		e := &b.Entries[i]
		if e.Protocol == mesh.ProtocolTCP {
			continue
		}
		if e.Source != at.source || e.Destination != at.destination || e.Reporter != at.reporter || i == 0 {
			edge.end(p, now)
			at = edgeKey{e.Source, e.Destination, e.Reporter}
			edge = s.edges.find(at, now)
			p = edge.begin()
		}
		var slow bool
		p, slow = p.observe(float64(e.Duration))
		why := set.sampler.of(e, slow && edge != nil)
		if why == 0 {
			continue
		}
		if set.sampler.auto && e.Traced && e.TraceSampled {
			s.m.native.Add(1)
			continue
		}
		w, over, ok := set.sampler.admit(why, now)
		s.m.limited(over)
		if !ok {
			continue
		}
		if mk == nil {
			mk = s.maker()
		}
		s.m.selected[w].Add(1)
		s.books.created.Add(1)
		mk.keep(e, b.Details)
		if len(mk.kept) == maxKept || mk.n+len(mk.kept) >= set.cfg.BatchSize {
			s.make(mk, set)
		}
	}
	edge.end(p, now)
	if mk != nil {
		mk.mu.Unlock()
	}
	return nil
}

// maker returns a maker that is locked, one that nobody uses if there is one.
func (s *Sink) maker() *maker {
	for _, mk := range s.makers {
		if mk.mu.TryLock() {
			return mk
		}
	}
	s.makers[0].mu.Lock()
	return s.makers[0]
}

// make makes spans of the entries that mk kept. Their strings are those of the
// copies.
func (s *Sink) make(mk *maker, set *settings) {
	d := &mk.detail
	for i := range mk.kept {
		e := &mk.kept[i].entry
		mk.kept[i].details.ReadDetail(e, d)
		p := locate(e, d, s.edges)
		repeated := s.seen.distinct(&p, e.Reporter == mesh.ReporterSource, e.Wire)
		span := mk.span(e)
		room := &mk.room[int(e.Reporter)%len(mk.room)]
		span.Attributes().EnsureCapacity(*room)
		fill(span, e, d, &p, set.cfg.Query)
		if repeated {
			span.Attributes().PutBool("tallygate.repeated", true)
		}
		*room = span.Attributes().Len()
		if mk.n >= set.cfg.BatchSize {
			s.push(mk.take(), set)
		}
	}
	clear(mk.kept)
	mk.kept = mk.kept[:0]
}

// ConsumeTraces takes the spans of proxies that trace, for receivers.
func (s *Sink) ConsumeTraces(_ context.Context, td ptrace.Traces) error {
	set := s.settings.Load()
	if len(set.cfg.Exporters) == 0 {
		return errors.New("spans.exporters is empty: there is nowhere to send spans to")
	}
	n := td.SpanCount()
	if n == 0 {
		return nil
	}
	s.m.received.Add(float64(n))
	s.books.created.Add(int64(n))
	s.push(td, set)
	return nil
}

// Capabilities implements [consumer.Traces].
func (s *Sink) Capabilities() consumer.Capabilities { return consumer.Capabilities{MutatesData: false} }

// push lets spans wait for delivery, or drops them.
func (s *Sink) push(td ptrace.Traces, set *settings) {
	n := int64(td.SpanCount())
	if n == 0 {
		return
	}
	if s.waiting.Add(n) <= int64(set.cfg.Buffer) {
		select {
		case s.full <- td:
			return
		default:
		}
	}
	s.waiting.Add(-n)
	s.books.shed.Add(n)
}

// flush lets the spans of all makers wait for delivery, however few they are.
func (s *Sink) flush() {
	set := s.settings.Load()
	for _, mk := range s.makers {
		mk.mu.Lock()
		s.make(mk, set)
		td := mk.take()
		mk.mu.Unlock()
		s.push(td, set)
	}
}

const expireEvery = 5 * time.Minute

// Run delivers until ctx ends, and then what is left.
func (s *Sink) Run(ctx context.Context) error {
	every := s.settings.Load().cfg.FlushInterval
	tick := time.NewTicker(every)
	defer tick.Stop()
	expire := time.NewTicker(expireEvery)
	defer expire.Stop()
	for {
		select {
		case <-ctx.Done():
			s.Flush()
			return nil
		case td := <-s.full:
			s.deliver(td)
		case <-tick.C:
			s.flush()
			if now := s.settings.Load().cfg.FlushInterval; now != every {
				every = now
				tick.Reset(every)
			}
		case now := <-expire.C:
			s.edges.expire(now)
		}
	}
}

// Flush delivers everything that there is.
func (s *Sink) Flush() {
	s.flush()
	for {
		select {
		case td := <-s.full:
			s.deliver(td)
		default:
			return
		}
	}
}
