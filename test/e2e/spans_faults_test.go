//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// TestSpansOverThrift: Tallygate ─ Thrift over HTTP and over UDP ─▶ real Jaegers.
func TestSpansOverThrift(t *testing.T) {
	t.Parallel()
	http, udp := StartJaeger(t, testbed.JaegerConfig{}), StartJaeger(t, testbed.JaegerConfig{})
	w := startTraced(t, tracedConfig{tracer: testbed.TracerNone, spans: everything(), exporters: object{
		"jaeger/http": object{"endpoint": "http://" + http.ThriftHTTP + "/api/traces"},
		"jaeger/udp":  object{"endpoint": udp.ThriftUDP, "protocol": "thrift_compact"},
	}})
	w.get(t, "/next/status/418", 418)
	for name, j := range map[string]*testbed.Jaeger{"http": http, "udp": udp} {
		tr := findTrace(t, &testbed.JaegerAPI{URL: j.URL}, "backend", "http.response.status_code=418", 4)
		if got := tr.Tree(); got != twoHops {
			t.Errorf("%s: the tree is\n%swant\n%s", name, got, twoHops)
		}
		for _, s := range tr.Spans {
			if len(s.Logs) == 0 || s.Tag("destination.service") == "" {
				t.Errorf("%s: a span without events or tags: %+v", name, s)
			}
		}
	}
	for _, exporter := range []string{"jaeger/http", "jaeger/udp"} {
		w.settled(t, exporter, func(a spanAccount) error {
			if a.dropped > 0 || a.exported == 0 {
				return fmt.Errorf("%+v", a)
			}
			return nil
		})
	}
}

// settled waits until the books of an exporter balance and ok is content.
func (w *traced) settled(t *testing.T, exporter string, ok func(spanAccount) error) (a spanAccount) {
	t.Helper()
	Eventually(t, 60*time.Second, func(ctx context.Context) (err error) {
		if a, err = w.account(ctx, exporter); err != nil {
			return err
		}
		return errors.Join(a.check(), ok(a))
	})
	return a
}

// found counts the spans that a Jaeger has.
func found(ctx context.Context, j *testbed.Jaeger) (n int, err error) {
	api := &testbed.JaegerAPI{URL: j.URL}
	services, err := api.Services(ctx)
	if err != nil {
		return 0, err
	}
	seen := map[string]bool{}
	for _, service := range services {
		traces, err := api.Find(ctx, url.Values{"service": {service}, "limit": {"5000"}})
		if err != nil {
			return 0, err
		}
		for _, tr := range traces {
			for _, s := range tr.Spans {
				seen[s.TraceID+s.SpanID+s.Tag("span.kind")] = true
			}
		}
	}
	return len(seen), nil
}

// TestSpansSurviveKill: Jaeger is away, the queue is on disk, Tallygate is killed
// twice; then Jaeger comes and gets every span.
func TestSpansSurviveKill(t *testing.T) {
	t.Parallel()
	otlp, err := testbed.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	w := startTraced(t, tracedConfig{
		tracer: testbed.TracerNone,
		exporters: object{"otlp/jaeger": object{
			"endpoint": otlp, "tls": object{"insecure": true}, "timeout": "1s",
			"retry_on_failure": object{"initial_interval": "100ms", "max_interval": "500ms", "max_elapsed_time": "0s"},
		}},
		spans: object{"sampling": object{"head": object{"ratio": 1}}, "queue": object{"storage": "file_storage"}},
		more:  object{"extensions": object{"file_storage": object{"directory": filepath.Join(Bed(t).Dir, "queue"), "create_directory": true}}},
	})
	total := 0.0
	for range 2 {
		for range 20 {
			w.get(t, "/next/status/200", 200)
		}
		// All that was sampled is in the queue: what is not there yet dies with the
		// process.
		a := w.settled(t, "otlp/jaeger", func(a spanAccount) error {
			series, err := w.tallygate.Scrape(t.Context(), "otelcol_exporter_queue_size")
			if err != nil {
				return err
			}
			onDisk := testbed.Sum(series, "otelcol_exporter_queue_size", "data_type=traces")
			if a.sampled < 80 || onDisk != a.sampled+a.recovered {
				return fmt.Errorf("%+v, %v on disk", a, onDisk)
			}
			return nil
		})
		if a.recovered != total {
			t.Errorf("recovered %v; want the %v of before", a.recovered, total)
		}
		total = a.queued
		if err := w.tallygate.Kill(); err != nil {
			t.Fatal(err)
		}
		start(t, func(ctx context.Context, b *testbed.Bed) (any, error) { return nil, b.Restart(ctx, w.tallygate) })
	}
	j := StartJaeger(t, testbed.JaegerConfig{OTLP: otlp})
	a := w.settled(t, "otlp/jaeger", func(a spanAccount) error {
		if a.queued != 0 || a.dropped != 0 || a.recovered != total {
			return fmt.Errorf("%+v; want %v recovered and nothing queued", a, total)
		}
		return nil
	})
	Eventually(t, 30*time.Second, func(ctx context.Context) error {
		n, err := found(ctx, j)
		if err == nil && float64(n) != a.exported {
			err = fmt.Errorf("Jaeger has %d spans; want %v", n, a.exported)
		}
		return err
	})
}

// TestSpansShed: Jaeger is away and the queue is small: spans are dropped and
// counted, requests and their metrics are not touched.
func TestSpansShed(t *testing.T) {
	t.Parallel()
	for _, storage := range []string{"", "file_storage"} {
		t.Run("storage "+storage, func(t *testing.T) {
			gone, err := testbed.FreeAddr("127.0.0.1")
			if err != nil {
				t.Fatal(err)
			}
			w := startTraced(t, tracedConfig{
				tracer:    testbed.TracerNone,
				exporters: object{"otlp/jaeger": object{"endpoint": gone, "tls": object{"insecure": true}, "timeout": "1s"}},
				spans:     object{"sampling": object{"head": object{"ratio": 1}}, "queue": object{"size": 100, "storage": storage}},
				more:      object{"extensions": object{"file_storage": object{"directory": filepath.Join(Bed(t).Dir, "queue"), "create_directory": true}}},
			})
			for range 100 {
				w.get(t, "/next/status/200", 200)
			}
			a := w.settled(t, "otlp/jaeger", func(a spanAccount) error {
				if a.sampled < 400 || a.dropped == 0 || a.queued > 100 {
					return fmt.Errorf("%+v; want at most 100 queued", a)
				}
				return nil
			})
			if a.exported != 0 {
				t.Errorf("%+v; want none exported", a)
			}
			Eventually(t, 30*time.Second, func(ctx context.Context) error {
				series, err := w.tallygate.Scrape(ctx, "istio_requests_total")
				if n := testbed.Sum(series, "istio_requests_total"); err == nil && n != 404 {
					err = fmt.Errorf("%v requests counted; want 404", n)
				}
				return err
			})
			if log := w.tallygate.Log(1 << 20); strings.Count(log, "refuses spans") > 5 {
				t.Errorf("a line for every batch that is refused:\n%s", log)
			}
		})
	}
}
