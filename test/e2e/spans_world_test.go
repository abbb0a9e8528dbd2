//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// traced is two hops of real Envoys whose spans go through Tallygate to exporters:
//
//	driver ─▶ [client] ─mTLS─▶ [frontend] ─▶ app ─▶ [frontend] ─mTLS─▶ [backend] ─▶ app
//	             └─ access logs, and spans if it has a tracer ─▶ Tallygate ─▶ exporters
type traced struct {
	tallygate *testbed.Tallygate
	mesh      *testbed.Mesh
	driver    *testbed.Driver
	zipkin    string // receivers
	otlp      string
}

// tracedConfig says what world to start.
type tracedConfig struct {
	tracer     testbed.Tracer
	sampleNone bool   // by the proxies
	exporters  object // and each gets every span
	spans      object // beside spans.exporters
	more       object // other top-level keys
	policy     string // in Rego, that inbound requests are judged by; none if empty
}

// startTraced starts the world and waits until every sidecar reports.
func startTraced(t *testing.T, cfg tracedConfig) *traced {
	t.Helper()
	w := new(traced)
	for _, addr := range []*string{&w.zipkin, &w.otlp} {
		var err error
		if *addr, err = testbed.FreeAddr("127.0.0.1"); err != nil {
			t.Fatal(err)
		}
	}
	ids := array{}
	for id := range cfg.exporters {
		ids = append(ids, id)
	}
	spans := object{"exporters": ids, "flush_interval": "200ms"}
	for k, v := range cfg.spans {
		spans[k] = v
	}
	more := object{
		"exporters": cfg.exporters, "spans": spans,
		"receivers": object{
			"zipkin": object{"endpoint": w.zipkin},
			"otlp":   object{"protocols": object{"grpc": object{"endpoint": w.otlp}}},
		},
	}
	for k, v := range cfg.more {
		more[k] = v
	}
	var checks string
	if cfg.policy != "" {
		path := filepath.Join(t.TempDir(), "policy.rego")
		if err := os.WriteFile(path, []byte(cfg.policy), 0o644); err != nil {
			t.Fatal(err)
		}
		var err error
		if checks, err = testbed.FreeAddr("127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		more["policy"] = object{"paths": array{path}}
		more["ingest"] = object{"extauthz": object{"endpoint": checks}}
	}
	w.tallygate = StartTallygate(t, testbed.TallygateConfig{More: more})
	mesh := testbed.MeshConfig{
		Logs: []string{w.tallygate.ALS}, Flush: 200 * time.Millisecond,
		Tracer: cfg.tracer, Checks: checks, SampleNone: cfg.sampleNone, SpansTo: w.otlp,
	}
	if cfg.tracer == testbed.TracerZipkin {
		mesh.SpansTo = w.zipkin
	}
	w.mesh, w.driver = StartMesh(t, NewCA(t), mesh)
	// Until every proxy is known, its spans have no place in the tree.
	w.get(t, "/next/status/200", 200)
	Eventually(t, 30*time.Second, func(ctx context.Context) error {
		series, err := w.tallygate.Scrape(ctx, "istio_requests_total")
		if err == nil && testbed.Sum(series, "istio_requests_total") < 4 {
			err = fmt.Errorf("not every sidecar has reported: %v", series)
		}
		return err
	})
	return w
}

// get sends a request through both hops, or as far as it comes.
func (w *traced) get(t *testing.T, path string, want int) {
	t.Helper()
	code, err := w.driver.Get(t.Context(), testbed.HostFrontend, path)
	if err != nil || code != want {
		t.Fatalf("GET %s: %d, %v; want %d", path, code, err, want)
	}
}

// findTrace waits for a trace of the service that has the tag, and as many spans.
func findTrace(t *testing.T, api *testbed.JaegerAPI, service, tag string, spans int) testbed.Trace {
	t.Helper()
	q := url.Values{"service": {service}}
	if key, value, ok := strings.Cut(tag, "="); ok {
		q.Set("tags", fmt.Sprintf("{%q:%q}", key, value))
	}
	var found testbed.Trace
	Eventually(t, 60*time.Second, func(ctx context.Context) error {
		list, err := api.Find(ctx, q)
		if err != nil {
			return err
		}
		var seen []string
		for _, tr := range list {
			if len(tr.Spans) == spans {
				found = tr
				return nil
			}
			seen = append(seen, tr.Tree())
		}
		return fmt.Errorf("no trace of %s with %s has %d spans:\n%s", service, tag, spans, strings.Join(seen, "\n"))
	})
	return found
}

// spanAccount is the books of an exporter of spans.
type spanAccount struct{ sampled, recovered, exported, dropped, queued float64 }

func (w *traced) account(ctx context.Context, exporter string) (a spanAccount, err error) {
	series, err := w.tallygate.Scrape(ctx, "tallygate_spans_sampled_total", "tallygate_spans_recovered_total",
		"tallygate_spans_exported_total", "tallygate_spans_dropped_total", "tallygate_spans_queued")
	sum := func(name string) float64 { return testbed.Sum(series, "tallygate_spans_"+name, "exporter="+exporter) }
	return spanAccount{sum("sampled_total"), sum("recovered_total"), sum("exported_total"), sum("dropped_total"), sum("queued")}, err
}

func (a spanAccount) check() error {
	if a.sampled+a.recovered != a.exported+a.dropped+a.queued {
		return fmt.Errorf("the books do not balance: %+v", a)
	}
	return nil
}
