package push

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unique"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/red"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func peer(name string) mesh.Peer {
	w := mesh.UnknownWorkload()
	w.Name, w.App = name, name
	return unique.Make(w)
}

func request(destination string) mesh.Entry {
	return mesh.Entry{
		Source: peer("frontend"), Destination: peer(destination),
		Service:    unique.Make(mesh.DestinationService{Host: destination + ".svc", Name: destination, Namespace: "shop"}),
		Reporter:   mesh.ReporterDestination,
		GRPCStatus: mesh.NoGRPCStatus, Code: 200, Duration: 12 * time.Millisecond,
		RequestBytes: 100, ResponseBytes: 2000,
		TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", TraceSampled: true,
	}
}

func table(t *testing.T, cfg red.Config, entries ...mesh.Entry) *red.Table {
	t.Helper()
	tab, err := red.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries { // the batch is lent: each entry in its own
		if err := tab.Consume(t.Context(), &mesh.Batch{Entries: entries[i : i+1], Received: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	return tab
}

// sink keeps copies of what it is given.
type sink struct {
	mu      sync.Mutex
	got     []pmetric.Metrics
	err     error
	mutates bool
	wait    time.Duration
}

func (s *sink) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: s.mutates}
}

func (s *sink) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	if s.wait > 0 {
		select {
		case <-time.After(s.wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.err != nil {
		return s.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	own := pmetric.NewMetrics()
	md.CopyTo(own)
	s.got = append(s.got, own)
	if s.mutates {
		md.ResourceMetrics().At(0).Resource().Attributes().Clear()
	}
	return nil
}

func (s *sink) requests() []pmetric.Metrics {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func newPusher(t *testing.T, cfg Config, tab Source, to ...Destination) (*Pusher, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	p, err := New(cfg, tab, Options{To: to, Version: "v1", Instance: "host-a", Metrics: reg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return p, reg
}

func find(t *testing.T, md pmetric.Metrics, name string) pmetric.Metric {
	t.Helper()
	ms := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	for i := range ms.Len() {
		if ms.At(i).Name() == name {
			return ms.At(i)
		}
	}
	t.Fatalf("no metric %s", name)
	return pmetric.Metric{}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := table(t, red.DefaultConfig(), request("cart"), request("cart"))
		s := &sink{}
		p, _ := newPusher(t, DefaultConfig(), tab, Destination{"a", s})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		value := func(i int) int64 {
			t.Helper()
			return find(t, s.requests()[i], red.MetricRequests).Sum().DataPoints().At(0).IntValue()
		}
		time.Sleep(14 * time.Second)
		if len(s.requests()) != 0 {
			t.Fatalf("%d pushes before the interval", len(s.requests()))
		}
		time.Sleep(20 * time.Second)
		if len(s.requests()) != 2 || value(1) != 2 {
			t.Fatalf("after two intervals %d pushes", len(s.requests()))
		}
		e := request("catalog") // new: held at 0
		if err := tab.Consume(ctx, &mesh.Batch{Entries: []mesh.Entry{e}}); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(s.requests()) != 3 {
			t.Fatalf("%d pushes; want a last one", len(s.requests()))
		}
		ps := find(t, s.requests()[2], red.MetricRequests).Sum().DataPoints()
		if ps.Len() != 2 || ps.At(0).IntValue() != 2 || ps.At(1).IntValue() != 1 {
			t.Error("the last push does not hold all that was counted")
		}
	})
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, bad := &sink{mutates: true}, &sink{err: errors.New("full")}
		slow := &sink{wait: time.Hour}
		p, reg := newPusher(t, DefaultConfig(), table(t, red.DefaultConfig(), request("cart")),
			Destination{"good", good}, Destination{"bad", bad}, Destination{"slow", slow})
		p.push(t.Context())
		p.push(t.Context())
		bad.err = nil
		p.push(t.Context())
		// 4 families and two metrics of our own per push.
		want := `# HELP tallygate_push_points_total Data points handed to exporters, by exporter and by what it said.
# TYPE tallygate_push_points_total counter
tallygate_push_points_total{exporter="bad",result="accepted"} 6
tallygate_push_points_total{exporter="bad",result="refused"} 12
tallygate_push_points_total{exporter="good",result="accepted"} 18
tallygate_push_points_total{exporter="good",result="refused"} 0
tallygate_push_points_total{exporter="slow",result="accepted"} 0
tallygate_push_points_total{exporter="slow",result="refused"} 18
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "tallygate_push_points_total"); err != nil {
			t.Error(err)
		}
		if v, ok := bad.got[0].ResourceMetrics().At(0).Resource().Attributes().Get("service.instance.id"); !ok || v.Str() != "host-a" {
			t.Error("what one consumer does to its copy shows in another's")
		}
		p.Close()
		if _, err := New(DefaultConfig(), nil, Options{Metrics: reg}); err != nil {
			t.Errorf("a second pusher after Close: %v", err)
		}
	})
}

func TestConfigValidate(t *testing.T) {
	c := Config{Exporters: []string{"a", "b", "a"}}
	err := c.Validate()
	want := "interval: must be positive, is 0s\ntimeout: must be positive, is 0s\nmax_points: must be positive, is 0\n" +
		"histograms: \"\" is not one of explicit, exponential\nexporters[2]: \"a\" is there twice"
	if err == nil || err.Error() != want {
		t.Errorf("Validate() =\n%v\nwant\n%s", err, want)
	}
	if _, err := New(c, nil, Options{}); err == nil {
		t.Error("New takes what Validate does not")
	}
	c = DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Errorf("the default is not valid: %v", err)
	}
}
