package host_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unique"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/prompb"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/tallygate/tallygate/collector/host"
	promexp "github.com/tallygate/tallygate/exporters/prometheus"
	"github.com/tallygate/tallygate/exporters/push"
	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/red"
)

// traffic is a table with requests of every kind.
func traffic(t *testing.T) *red.Table {
	t.Helper()
	cfg := red.DefaultConfig()
	cfg.ZeroFor = 0
	tab, err := red.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	peer := func(name string) mesh.Peer {
		w := mesh.UnknownWorkload()
		w.Name, w.Principal = name, "spiffe://cluster.local/ns/shop/sa/"+name
		return unique.Make(w)
	}
	for i := range 500 {
		e := mesh.Entry{
			Source: peer("frontend"), Destination: peer(fmt.Sprint("cart-", i%20)),
			Service:    unique.Make(mesh.DestinationService{Host: "cart.shop.svc.cluster.local", Name: "cart", Namespace: "shop"}),
			Reporter:   mesh.ReporterDestination,
			GRPCStatus: mesh.NoGRPCStatus, Code: 200, Duration: time.Duration(i*i) * time.Microsecond,
			RequestBytes: uint64(i), ResponseBytes: uint64(i * 100),
			TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", TraceSampled: i%3 == 0,
		}
		switch i % 10 {
		case 7:
			e.Protocol, e.GRPCStatus, e.HasMessages, e.RequestMessages, e.ResponseMessages = mesh.ProtocolGRPC, 14, true, 1, 3
		case 8:
			e.Code, e.Flags = 503, 1<<5|1<<15
		case 9:
			e.Protocol, e.Opened, e.Closed, e.SentBytes, e.ReceivedBytes = mesh.ProtocolTCP, true, i%20 == 9, 1000, 100
		}
		if err := tab.Consume(t.Context(), &mesh.Batch{Entries: []mesh.Entry{e}, Received: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	return tab
}

// pushOnce runs the exporters and one last push of tab to all of them.
func pushOnce(t *testing.T, tab *red.Table, exporters map[string]any) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	h, err := host.New(exporters, host.Settings{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	opts := push.Options{Version: "v1", Instance: "host-a", Metrics: prometheus.NewRegistry(), Log: log}
	for id := range exporters {
		c, err := h.Metrics(id)
		if err != nil {
			t.Fatal(err)
		}
		opts.To = append(opts.To, push.Destination{ID: id, Metrics: c})
	}
	cfg := push.DefaultConfig()
	cfg.MaxPoints = 50
	p, err := push.New(cfg, tab, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// scraped returns the samples of the families as a scrape shows them.
func scraped(t *testing.T, tab *red.Table) map[string]float64 {
	t.Helper()
	h, err := promexp.New(promexp.DefaultConfig(), tab, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	samples := map[string]float64{}
	parser, err := textparse.New(rec.Body.Bytes(), rec.Header().Get("Content-Type"), labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		entry, err := parser.Next()
		if err == io.EOF {
			return samples
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var ls labels.Labels
		_, _, v := parser.Series()
		parser.Labels(&ls)
		if name := ls.Get(model.MetricNameLabel); strings.HasPrefix(name, "istio_") && name != red.MetricBuild {
			b := labels.NewBuilder(ls.WithoutEmpty())
			// The parser spells le as Prometheus 3 does, "250.0"; on the wire it is "250".
			if bound, err := strconv.ParseFloat(ls.Get("le"), 64); err == nil {
				b.Set("le", strconv.FormatFloat(bound, 'f', -1, 64))
			}
			samples[b.Labels().String()] = v
		}
	}
}

// TestRemoteWrite:
//
//	red.Table ─┬▶ exporters/push ▶ prometheusremotewrite ▶ receiver ─┐
//	           └▶ exporters/prometheus ▶ scrape ─────────────────────┴▶ the same samples
func TestRemoteWrite(t *testing.T) {
	var mu sync.Mutex
	written := map[string]float64{}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		raw, err := snappy.Decode(nil, body)
		if err != nil {
			t.Error(err)
		}
		var req prompb.WriteRequest
		if err := req.Unmarshal(raw); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, ts := range req.Timeseries {
			b := labels.NewBuilder(labels.EmptyLabels())
			for _, l := range ts.Labels {
				b.Set(l.Name, l.Value)
			}
			ls := b.Labels()
			if ls.Get("instance") != "host-a" || ls.Get("job") != "tallygate" {
				t.Errorf("series %v is not of our job and instance", ls)
			}
			if name := ls.Get(model.MetricNameLabel); strings.HasPrefix(name, "istio_") && name != red.MetricBuild {
				written[b.Del("job", "instance").Labels().String()] = ts.Samples[0].Value
			}
		}
	}))
	defer srv.Close()
	tab := traffic(t)
	pushOnce(t, tab, map[string]any{"prometheusremotewrite": map[string]any{"endpoint": srv.URL}})
	want := scraped(t, tab)
	if len(want) < 1000 {
		t.Fatalf("the scrape has %d samples; want thousands", len(want))
	}
	for _, series := range slices.Sorted(maps.Keys(want)) {
		if got, ok := written[series]; !ok || got != want[series] {
			t.Errorf("%s was written as %v, %v; scraped is %v", series, got, ok, want[series])
		}
		delete(written, series)
	}
	for series := range written {
		t.Errorf("%s was written but is not scraped", series)
	}
}

// TestOTLP: exporters/push ▶ otlp over gRPC and HTTP ▶ the Collector's receiver.
func TestOTLP(t *testing.T) {
	factory := otlpreceiver.NewFactory()
	cfg := factory.CreateDefaultConfig()
	socket := t.TempDir() + "/otlp.sock"
	if err := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": socket, "transport": "unix"},
		"http": map[string]any{"endpoint": "127.0.0.1:0"},
	}}).Unmarshal(cfg); err != nil {
		t.Fatal(err)
	}
	var sink consumertest.MetricsSink
	r, err := factory.CreateMetrics(t.Context(), receivertest.NewNopSettings(factory.Type()), cfg, &sink)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	tab := traffic(t)
	pushOnce(t, tab, map[string]any{"otlp/x": map[string]any{
		"endpoint": "unix://" + socket, "tls": map[string]any{"insecure": true},
	}})
	if err := r.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	var requests, durations, series int64
	for _, md := range sink.AllMetrics() {
		ms := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
		for i := range ms.Len() {
			switch m := ms.At(i); m.Name() {
			case red.MetricRequests:
				for j := range m.Sum().DataPoints().Len() {
					requests += m.Sum().DataPoints().At(j).IntValue()
					series++
				}
			case red.MetricRequestDuration:
				for j := range m.Histogram().DataPoints().Len() {
					durations += int64(m.Histogram().DataPoints().At(j).Count())
				}
			}
		}
	}
	if requests != 450 || durations != 450 || series < 18 {
		t.Errorf("received %d requests, %d durations in %d series; want 450", requests, durations, series)
	}
}
