package spans

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/mesh"
)

// told is a mesh.Detailer that has the same to say of every entry.
type told struct{ mesh.Detail }

func (r *told) ReadDetail(_ *mesh.Entry, d *mesh.Detail) bool { *d = r.Detail; return true }

func newTestSink(t testing.TB, change func(*Config)) *Sink {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Exporters = []string{"test"}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg, Options{Metrics: prometheus.NewPedanticRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// batch is n entries of the sample.
func batch(n int, change func(i int, e *mesh.Entry)) *mesh.Batch {
	e, d := sample()
	b := &mesh.Batch{Received: time.Unix(2000, 0), Details: &told{d}}
	for i := range n {
		e := e
		e.TraceID = fmt.Sprintf("%032x", i+1)
		e.Wire = fmt.Append(nil, i)
		change(i, &e)
		b.Entries = append(b.Entries, e)
	}
	return b
}

func failing(_ int, e *mesh.Entry) { e.Code = 503 }

func TestConsume(t *testing.T) {
	s := newTestSink(t, nil)
	var sink consumertest.TracesSink
	d := &Destination{ID: "test", Traces: &sink}
	s.SetDestinations([]*Destination{d})
	err := s.Consume(t.Context(), batch(10, func(i int, e *mesh.Entry) {
		switch i {
		case 1:
			e.Code = 503
		case 2:
			e.TraceSampled = true
		case 3:
			e.TraceSampled, e.Traced = true, true // the proxy's own
		case 4:
			e.Protocol, e.Code = mesh.ProtocolTCP, 0
		case 5:
			e.Reporter, e.Code = mesh.ReporterDestination, 500
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if f := s.FlowTo(d); f != (Flow{Sampled: 3, Waiting: 3}) {
		t.Errorf("before delivery: %+v", f)
	}
	s.Flush()
	if f := s.FlowTo(d); f != (Flow{Sampled: 3}) || sink.SpanCount() != 3 {
		t.Errorf("after delivery: %+v, %d spans", f, sink.SpanCount())
	}
	services := map[string]int{}
	for _, td := range sink.AllTraces() {
		for i := range td.ResourceSpans().Len() {
			rs := td.ResourceSpans().At(i)
			name, _ := rs.Resource().Attributes().Get("service.name")
			services[name.Str()] += rs.ScopeSpans().At(0).Spans().Len()
		}
	}
	if services["frontend"] != 2 || services["unknown"] != 1 {
		t.Errorf("spans by service: %v", services)
	}
	if got := s.m.native.Load(); got != 1 {
		t.Errorf("%d native; want 1", got)
	}
	if err := s.Reconfigure(Config{}); err == nil {
		t.Error("an empty configuration is taken")
	}
}

func TestModes(t *testing.T) {
	f := func(mode string, want int64) {
		t.Helper()
		s := newTestSink(t, func(c *Config) { c.Mode = mode })
		if err := s.Consume(t.Context(), batch(4, func(i int, e *mesh.Entry) { e.TraceSampled, e.Traced = true, i%2 == 0 })); err != nil {
			t.Fatal(err)
		}
		if got := s.books.created.Load(); got != want {
			t.Errorf("mode %s: %d spans; want %d", mode, got, want)
		}
	}
	f(ModeAuto, 2)
	f(ModeAlways, 4)
	f(ModeOff, 0)
}

func TestShed(t *testing.T) {
	s := newTestSink(t, func(c *Config) { c.BatchSize, c.Buffer, c.Sampling.Error.PerSecond = 10, 20, 1000 })
	var sink consumertest.TracesSink
	d := &Destination{ID: "test", Traces: &sink}
	s.SetDestinations([]*Destination{d})
	if err := s.Consume(t.Context(), batch(45, failing)); err != nil {
		t.Fatal(err)
	}
	if f := s.FlowTo(d); f != (Flow{Sampled: 45, Shed: 20, Waiting: 25}) {
		t.Errorf("nobody takes them: %+v", f)
	}
	// What waits is a new exporter's.
	next := &Destination{ID: "next", Traces: &sink}
	s.SetDestinations([]*Destination{next})
	s.Flush()
	if f := s.FlowTo(next); f.Sampled != 25 || f.Sampled != f.Shed+int64(sink.SpanCount()) || f.Waiting != 0 {
		t.Errorf("a new exporter: %+v, %d spans", f, sink.SpanCount())
	}
}

func TestRateLimited(t *testing.T) {
	s := newTestSink(t, func(c *Config) { c.Sampling.Error.PerSecond = 5 })
	if err := s.Consume(t.Context(), batch(20, failing)); err != nil {
		t.Fatal(err)
	}
	if made, over := s.books.created.Load(), s.m.over[whyError].Load(); made != 5 || over != 15 {
		t.Errorf("%d made, %d over the rate; want 5 and 15", made, over)
	}
}

// refuser refuses spans, and would like to change them.
type refuser struct{ consumertest.Consumer }

func (refuser) ConsumeTraces(context.Context, ptrace.Traces) error { return errors.New("no") }
func (refuser) Capabilities() consumer.Capabilities                { return consumer.Capabilities{MutatesData: true} }

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSink(t, nil)
		var sink consumertest.TracesSink
		s.SetDestinations([]*Destination{{ID: "no", Traces: refuser{consumertest.NewNop()}}, {ID: "test", Traces: &sink}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		put := func() {
			if err := s.Consume(ctx, batch(3, failing)); err != nil {
				t.Fatal(err)
			}
		}
		put()
		synctest.Wait()
		if sink.SpanCount() != 0 {
			t.Error("delivered before the interval")
		}
		time.Sleep(DefaultConfig().FlushInterval)
		synctest.Wait()
		if sink.SpanCount() != 3 {
			t.Errorf("%d spans after the interval; want 3", sink.SpanCount())
		}
		td := ptrace.NewTraces()
		td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		if err := s.ConsumeTraces(ctx, td); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if sink.SpanCount() != 4 {
			t.Errorf("%d spans after one was received; want 4", sink.SpanCount())
		}
		put()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if sink.SpanCount() != 7 {
			t.Errorf("%d spans after the end; want 7", sink.SpanCount())
		}
	})
}

func TestEdgesExpire(t *testing.T) {
	e := newEdges()
	k := edgeKey{client, frontend, mesh.ReporterSource}
	now := time.Unix(10_000, 0)
	e.find(k, now.UnixNano())
	e.find(edgeKey{client, frontend, mesh.ReporterDestination}, now.Add(edgeExpiry).UnixNano())
	if !e.reports(client) || !e.serves(frontend) || e.serves(client) {
		t.Error("who serves and who reports is not learned")
	}
	e.expire(now.Add(edgeExpiry + time.Second))
	if e.reports(client) || !e.serves(frontend) {
		t.Error("an edge without requests is not forgotten, or another one is")
	}
}

func TestConsumeDoesNotAllocate(t *testing.T) {
	s := newTestSink(t, func(c *Config) { c.Sampling.Head.Ratio, c.Sampling.EdgeP99.Enabled = 1e-9, false })
	b := batch(64, func(i int, e *mesh.Entry) {
		if i%2 == 0 {
			e.Source = backend
		}
		if i%3 == 0 {
			e.TraceID, e.RequestID = "", "8a4c0f9e-2f6d-4c9a-9a51-0123456789ab"
		}
	})
	if n := testing.AllocsPerRun(200, func() {
		if err := s.Consume(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per batch of which nothing is sampled; want 0", n)
	}
}

// cpuTime says more than wall time on a machine that has other work.
func cpuTime(b *testing.B) int64 {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		b.Fatal(err)
	}
	return ru.Utime.Nano() + ru.Stime.Nano()
}

func BenchmarkConsume(b *testing.B) {
	f := func(name string, change func(*Config), each func(int, *mesh.Entry)) {
		b.Run(name, func(b *testing.B) {
			s := newTestSink(b, change)
			s.SetDestinations([]*Destination{{ID: "test", Traces: consumertest.NewNop()}})
			in := batch(64, each)
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				in.Received = in.Received.Add(time.Second)
				if err := s.Consume(b.Context(), in); err != nil {
					b.Fatal(err)
				}
				if len(s.full) > 8 {
					s.Flush()
				}
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/64, "cpu-ns/entry")
		})
	}
	none := func(int, *mesh.Entry) {}
	f("off", func(c *Config) { c.Mode = ModeOff }, none)
	f("none sampled", func(c *Config) { c.Sampling.EdgeP99.Enabled = false }, none)
	f("1 percent", nil, none)
	f("none of head", func(c *Config) { c.Sampling.Head.Ratio = 1e-9 }, none)
	f("all", func(c *Config) { c.Sampling.Head = Head{Ratio: 1, PerSecond: 1e9} }, none)
}
