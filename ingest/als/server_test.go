package als

import (
	"context"
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
		s.SetLabels(labels)
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
