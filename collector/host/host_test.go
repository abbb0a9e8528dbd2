package host

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sum(points int) pmetric.Metrics {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("requests")
	ps := m.SetEmptyGauge().DataPoints()
	for range points {
		ps.AppendEmpty().SetIntValue(1)
	}
	return md
}

func TestHost(t *testing.T) {
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer srv.Close()
	var logged bytes.Buffer
	reg := prometheus.NewRegistry()
	h, err := New(map[string]any{
		"otlphttp/a": map[string]any{"endpoint": srv.URL, "compression": "none"},
		"debug":      nil,
		"otlp/idle":  map[string]any{"endpoint": "127.0.0.1:1"},
	}, Settings{Version: "1", Log: slog.New(slog.NewJSONHandler(&logged, nil)), Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"otlphttp/a", "debug"} {
		if _, err := h.Metrics(id); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"otlphttp/a", "debug"} {
		c, _ := h.Metrics(id)
		if err := c.ConsumeMetrics(t.Context(), sum(3)); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	waitFor(t, func() bool { return gathered(t, reg, "otelcol_exporter_sent_metric_points_total") == 6 })
	if err := h.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if requests.Load() != 1 {
		t.Errorf("the receiver got %d requests; want 1", requests.Load())
	}
	if got := gathered(t, reg, "otelcol_exporter_sent_metric_points_total"); got != 0 {
		t.Errorf("metrics of exporters after Shutdown: %v", got)
	}
	var line map[string]any
	if err := json.Unmarshal(bytes.SplitN(logged.Bytes(), []byte("\n"), 2)[0], &line); err != nil || line["exporter"] == nil {
		t.Errorf("log line %v, %v; want JSON that names the exporter", line, err)
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("gave up waiting")
		}
	}
}

func gathered(t *testing.T, reg *prometheus.Registry, name string) (total float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.Metric {
				total += m.GetCounter().GetValue()
			}
		}
	}
	return total
}

func TestNewErrors(t *testing.T) {
	f := func(exporters map[string]any, want ...string) {
		t.Helper()
		_, err := New(exporters, Settings{})
		if err == nil {
			t.Fatalf("%v is taken; want %q", exporters, want)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("error\n%v\nlacks %q", err, w)
			}
		}
	}
	f(map[string]any{"kafka/x": nil}, `exporters::kafka/x: unknown type "kafka"; known are cassandra, debug, jaeger, local, otlp, otlp_grpc, otlp_http, otlphttp, prometheus_remote_write, prometheusremotewrite`)
	f(map[string]any{"otlp/": nil}, `exporters::otlp/: `)
	f(map[string]any{"debug": "x"}, `exporters::debug: want a section of keys, got string`)
	f(map[string]any{"debug": map[string]any{"verbositi": "x"}}, `exporters::debug: `, `verbositi`)
	f(map[string]any{
		"otlp/x": map[string]any{"endpoint": ""},
		"otlp/y": map[string]any{"endpoint": "a:1", "sending_queue": map[string]any{"queue_size": -1}},
	}, `exporters::otlp/x: requires a non-empty "endpoint"`, `exporters::otlp/y::sending_queue: `)
}

func TestMetricsErrors(t *testing.T) {
	h, err := New(map[string]any{"debug": nil}, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Metrics("otlp"); err == nil || !strings.Contains(err.Error(), "not configured") {
		t.Errorf("Metrics of an exporter that is not there: %v", err)
	}
	if _, err := h.Metrics("/"); err == nil {
		t.Error("Metrics of no id has no error")
	}
}

func TestStartError(t *testing.T) {
	h, err := New(map[string]any{
		"debug":    nil,
		"otlphttp": map[string]any{"endpoint": "http://127.0.0.1:1", "auth": map[string]any{"authenticator": "oauth2client"}},
	}, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"debug", "otlphttp"} {
		if _, err := h.Metrics(id); err != nil {
			t.Fatal(err)
		}
	}
	err = h.Start(context.Background())
	if err == nil || !strings.Contains(err.Error(), `exporter "otlphttp": starting: `) {
		t.Errorf("Start with an authenticator that is not there: %v", err)
	}
}
