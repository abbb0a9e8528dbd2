package als

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
)

func TestServeSample(t *testing.T) {
	sink := new(memorySink)
	s, reg := newTestServer(t, sink, nil)
	stream, err := dial(t, s).StreamAccessLogs(t.Context())
	if err != nil {
		t.Fatalf("open stream: %v", err)
	}
	first := sampleMessage(0, 70)
	first.Identifier = &alsv3.StreamAccessLogsMessage_Identifier{Node: sampleNode(t), LogName: "mesh"}
	for _, m := range []*alsv3.StreamAccessLogsMessage{first, sampleMessage(70, 50)} {
		if err := stream.Send(m); err != nil {
			t.Fatalf("send: %v", err)
		}
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatalf("close: %v", err)
	}
	entries := sink.all()
	if len(entries) != 120 {
		t.Fatalf("%d entries counted; want 120", len(entries))
	}
	got := entries[7]
	want := mesh.Workload{
		Name: "productpage-v1", Namespace: "default", CanonicalService: "unknown", CanonicalRevision: "latest",
		Principal: "spiffe://cluster.local/ns/default/sa/bookinfo-productpage", App: "productpage", Version: "unknown", Cluster: "unknown",
	}
	if w := got.Source.Value(); w != want {
		t.Errorf("source %+v; want %+v", w, want)
	}
	want = mesh.Workload{
		Name: "reviews-v1", Namespace: "default", CanonicalService: "reviews", CanonicalRevision: "v1",
		Principal: "spiffe://cluster.local/ns/default/sa/bookinfo-reviews", App: "reviews", Version: "v1", Cluster: "Kubernetes",
	}
	if w := got.Destination.Value(); w != want {
		t.Errorf("destination %+v; want %+v", w, want)
	}
	if s := got.Service.Value(); s != (mesh.DestinationService{Host: "reviews.default.svc.cluster.local", Name: "reviews", Namespace: "default"}) {
		t.Errorf("service %+v", s)
	}
	if got.Reporter != mesh.ReporterDestination || got.Security != mesh.SecurityMutualTLS || got.Protocol != mesh.ProtocolHTTP ||
		got.Code != 200 || got.Method != "GET" || got.RequestBytes != 1123 || got.ResponseBytes != 548 ||
		got.Duration != 11*137*time.Microsecond || got.GRPCStatus != mesh.NoGRPCStatus ||
		got.TraceID != "4bf92f3577b34da6a3ce929d00000007" || !got.TraceSampled || got.Custom != (mesh.Custom{}) {
		t.Errorf("entry %+v", got)
	}
	if misses := ingesttest.Metric(t, reg, "tallygate_als_identity_misses_total"); misses != 1 {
		t.Errorf("%v identities worked out; want 1", misses)
	}
	checkBooks(t, reg, len(entries))
}

// TestRun publishes what was learned too soon after the publication before, and
// expires.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestServer(t, discard{}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		known := func() int { return len(s.registry.snapshot.Load().ip) }
		keys := []factKey{{factIP, "10.0.0.1"}, {factIP, "10.0.0.2"}}
		for _, key := range keys {
			s.registry.learn(key, learned{w: mesh.Workload{Name: key.key}}, time.Now())
		}
		if n := known(); n != 1 {
			t.Errorf("%d addresses published at once; want 1", n)
		}
		time.Sleep(2 * publishEvery)
		if n := known(); n != 2 {
			t.Errorf("%d addresses published; want 2", n)
		}
		for _, key := range keys {
			s.registry.forget(key, learned{w: mesh.Workload{Name: key.key}}, time.Now())
		}
		time.Sleep(s.cfg.Learned.Expiry + 2*expireEvery)
		if n := known(); n != 0 {
			t.Errorf("%d addresses left after the expiry; want 0", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestSetLabels(t *testing.T) {
	sink := new(memorySink)
	s, _ := newTestServer(t, sink, nil)
	st := identified(t, s)
	data := mustMarshal(t, sampleMessage(0, 1))
	for _, labels := range [][]mesh.CustomLabel{nil, {{Name: "source_app"}}, {{Name: "a", Tag: "none"}, {Name: "b", Tag: "source_app"}}, nil} {
		if err := s.SetLabels(labels, func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := st.message(data, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"", "productpage\x00", "unknown\x00productpage\x00", ""}
	for i, e := range sink.all() {
		got := ""
		if e.Custom != (mesh.Custom{}) {
			got = e.Custom.Value()
		}
		if got != want[i] {
			t.Errorf("after change %d: %q; want %q", i, got, want[i])
		}
	}
}

type sinkFunc func(*mesh.Batch) error

func (f sinkFunc) Consume(_ context.Context, b *mesh.Batch) error { return f(b) }

// TestSetLabelsUnderLoad: the sink is handed no entry with the values of other
// labels than those that it was told of last.
func TestSetLabelsUnderLoad(t *testing.T) {
	sets := [][]mesh.CustomLabel{{{Name: "source_app"}}, nil, {{Name: "a", Tag: "none"}, {Name: "b", Tag: "source_app"}}, {{Name: "a", Tag: "source_app"}, {Name: "b", Tag: "source_app"}}}
	values := []string{"productpage\x00", "", "unknown\x00productpage\x00", "productpage\x00productpage\x00"}
	var now, counted, wrong atomic.Int64
	sink := sinkFunc(func(b *mesh.Batch) error {
		want := values[now.Load()]
		for i := range b.Entries {
			got := ""
			if c := b.Entries[i].Custom; c != (mesh.Custom{}) {
				got = c.Value()
			}
			if got != want {
				wrong.Add(1)
			}
		}
		counted.Add(int64(len(b.Entries)))
		return nil
	})
	s, _ := newTestServer(t, sink, func(c *Config) { c.Decoders = 3 })
	set := func(i int) error {
		return s.SetLabels(sets[i], func() error { now.Store(int64(i)); return nil })
	}
	if err := set(0); err != nil {
		t.Fatal(err)
	}
	data := mustMarshal(t, sampleMessage(0, 1))
	const streams, messages = 4, 500
	var senders, setters sync.WaitGroup
	for range streams {
		st := identified(t, s)
		senders.Go(func() {
			for range messages {
				if err := st.message(data, time.Now()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	for n := range 2 {
		setters.Go(func() {
			for i := n; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				if err := set(i % len(sets)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
	close(done)
	setters.Wait()
	if counted.Load() != streams*messages || wrong.Load() != 0 {
		t.Errorf("%d of %d entries counted, %d with the values of other labels", counted.Load(), streams*messages, wrong.Load())
	}

	if err := set(0); err != nil { // nobody holds the workers
		t.Fatal(err)
	}
	if err := s.SetLabels(sets[2], func() error { return errors.New("no") }); err == nil {
		t.Error("SetLabels hides the error")
	}
	if err := identified(t, s).message(data, time.Now()); err != nil || wrong.Load() != 0 {
		t.Errorf("after a change that failed: %v, %d entries with the values of other labels", err, wrong.Load())
	}
}
