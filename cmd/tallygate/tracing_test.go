package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/tallygate/tallygate/collector/host"
	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/spans"
)

// spanBackend takes spans over OTLP/HTTP and counts them.
func spanBackend(t *testing.T) (url string, spans *atomic.Int64) {
	t.Helper()
	spans = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		req := ptraceotlp.NewExportRequest()
		if err == nil {
			err = req.UnmarshalProto(body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		spans.Add(int64(req.Traces().SpanCount()))
	}))
	t.Cleanup(srv.Close)
	return srv.URL, spans
}

// spansTo is a configuration that sends every span to an exporter.
func spansTo(id, url, more string) string {
	return fmt.Sprintf(`
exporters: {%s: {endpoint: %q, compression: none, retry_on_failure: {max_elapsed_time: 0s}}}
spans: {flush_interval: 20ms, exporters: [%s], sampling: {head: {ratio: 1}}%s}
`, id, url, id, more)
}

// books returns the books of an exporter, and checks that they balance.
func (p *proc) spanBooks(id string) account {
	p.t.Helper()
	a := p.tracing.accounts()[id]
	if a.Sampled+a.Recovered != a.Exported+a.BufferFull+a.QueueFull+a.Failed+a.OnShutdown+a.Queued {
		p.t.Errorf("%s: the books do not balance: %+v", id, a)
	}
	return a
}

func TestReloadSpans(t *testing.T) {
	first, one := spanBackend(t)
	second, two := spanBackend(t)
	p := startProc(t, spansTo("otlphttp/a", first, ""))
	e := dialEnvoy(t, p.alsListener.Addr().String(), nil)
	e.mustSend(3, nil)
	p.until("spans arrive", func() bool { return one.Load() == 3 })
	if said := p.reload(spansTo("otlphttp/b", second, "")); !strings.Contains(said, "changed=") || strings.Contains(said, "Reload refused") {
		t.Fatal(said)
	}
	e.mustSend(4, nil)
	p.until("spans arrive at the new exporter", func() bool { return two.Load() == 4 })
	if a := p.spanBooks("otlphttp/a"); a.Exported != 3 {
		t.Errorf("the old exporter: %+v", a)
	}
	p.until("the new exporter's books are settled", func() bool {
		a := p.tracing.accounts()["otlphttp/b"]
		return a.Exported == 4 && a.Queued == 0
	})
	p.spanBooks("otlphttp/b")
	_, body := p.get(p.metricsURL())
	for _, want := range []string{
		`tallygate_spans_exported_total{exporter="otlphttp/a"} 3`, `tallygate_spans_exported_total{exporter="otlphttp/b"} 4`,
		`tallygate_spans_selected_total{reason="head"} 7`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in /metrics", want)
		}
	}
	// Only the sampling changes: the exporters stay.
	before := p.tracing.host
	p.reload(spansTo("otlphttp/b", second, "") + "\n")
	p.reload(strings.Replace(spansTo("otlphttp/b", second, ""), "ratio: 1", "ratio: 0", 1))
	if p.tracing.host != before {
		t.Error("other sampling made new exporters")
	}
	// What cannot be built changes nothing.
	if said := p.reload(strings.Replace(spansTo("otlphttp/b", second, ""), "exporters: [otlphttp/b]", "exporters: [kafka]", 1)); !strings.Contains(said, `spans.exporters[0]: there is no `) {
		t.Error(said)
	}
	if said := p.reload("receivers: {zipkin: {endpoint: '127.0.0.1:0'}}"); !strings.Contains(said, "needs restart: receivers.zipkin") {
		t.Error(said)
	}
}

// TestSpansOnDisk: a queue on disk goes from one exporter to the next and is not
// counted twice.
func TestSpansOnDisk(t *testing.T) {
	disk := fmt.Sprintf("extensions: {file_storage: {directory: %q}}\n", t.TempDir())
	const queue = ", queue: {size: 100, storage: file_storage}"
	p := startProc(t, disk+spansTo("otlphttp", "http://127.0.0.1:1", queue))
	e := dialEnvoy(t, p.alsListener.Addr().String(), nil)
	e.mustSend(5, nil)
	p.until("spans are queued", func() bool { return p.tracing.accounts()["otlphttp"].Queued == 5 })
	url, spans := spanBackend(t)
	if said := p.reload(disk + spansTo("otlphttp", url, queue)); strings.Contains(said, "Reload refused") {
		t.Fatal(said)
	}
	p.until("they arrive", func() bool { return spans.Load() == 5 && p.tracing.accounts()["otlphttp"].Exported == 5 })
	if a := p.spanBooks("otlphttp"); a.Sampled != 5 || a.Recovered != 0 || a.Queued != 0 {
		t.Errorf("%+v; want 5 sampled, and what was on the disk is this process' own", a)
	}
}

func TestZipkin(t *testing.T) {
	url, spans := spanBackend(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	p := startProc(t, spansTo("otlphttp", url, "")+fmt.Sprintf("receivers: {zipkin: {endpoint: %q}}", addr))
	post := func(body string, want int) {
		t.Helper()
		resp, err := http.Post("http://"+addr+"/api/v2/spans", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%.60s: %s; want %d", body, resp.Status, want)
		}
	}
	const span = `[{"traceId":%q,"id":%q,"name":"x","timestamp":1,"duration":1,"localEndpoint":{"serviceName":"a"},"tags":{"k":%q}}]`
	const id = "4bf92f3577b34da6"
	post(fmt.Sprintf(span, id+id, id, "v"), 202)
	post(fmt.Sprintf(span, id, id, `{"json":true}`), 202)
	post(fmt.Sprintf(span, id, id, strings.Repeat("x", 64<<10)), 202)
	p.until("three spans arrive", func() bool { return spans.Load() == 3 })
	// Hostile ids are refused, and nothing else happens.
	post(fmt.Sprintf(span, "", id, "v"), 400)
	post(fmt.Sprintf(span, "zz", "zz", "v"), 400)
	post(fmt.Sprintf(span, strings.Repeat("a", 64<<10), id, "v"), 400)
	post("{", 400)
	post("[]", 202)
	post(fmt.Sprintf(span, id+id, id, "v"), 202)
	p.until("one more arrives", func() bool { return spans.Load() == 4 })
	if a := p.spanBooks("otlphttp"); a.Sampled != 4 {
		t.Errorf("%+v; want 4", a)
	}
}

// TestPortTaken: without a configuration a receiver whose port is taken is left
// out; whoever configures one is told.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config.DefaultConfig()
	cfg.Receivers = map[string]any{"zipkin": map[string]any{"endpoint": l.Addr().String()}}
	f := func(lenient, want bool) {
		t.Helper()
		tr, err := newTracing(&cfg, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer tr.close()
		if err := tr.listen(context.Background(), &cfg, lenient); (err == nil) != want {
			t.Errorf("lenient %v: %v", lenient, err)
		}
	}
	f(true, true)
	f(false, false)
}

// TestSpanBooksOverAStop: a send that a stop interrupts waits on the disk, unless
// it turns out not to be there.
func TestSpanBooksOverAStop(t *testing.T) {
	f := func(keeps bool, onDisk int64, want account, wantRecovered int64) {
		t.Helper()
		var a account
		a = a.closed(spans.Flow{Sampled: 10}, host.SpanBooks{Sent: 2, Failed: 1}, host.SpanBooks{Sent: 2, Failed: 6}, &spanExporter{keeps: keeps})
		recovered := int64(0)
		if keeps {
			a, recovered = a.reopened(onDisk)
		}
		if a != want || recovered != wantRecovered {
			t.Errorf("keeps %t, %d on the disk: %+v, %d recovered; want %+v, %d", keeps, onDisk, a, recovered, want, wantRecovered)
		}
		if in, out := a.Sampled, a.Exported+a.Failed+a.OnShutdown+a.Queued; in != out {
			t.Errorf("keeps %t, %d on the disk: %d in, %d out", keeps, onDisk, in, out)
		}
	}
	f(false, 0, account{Sampled: 10, Exported: 2, Failed: 6, OnShutdown: 2}, 0)
	f(true, 7, account{Sampled: 10, Exported: 2, Failed: 1, Queued: 7}, 0)
	f(true, 4, account{Sampled: 10, Exported: 2, Failed: 4, Queued: 4}, 0)
	f(true, 9, account{Sampled: 10, Exported: 2, Failed: 1, Queued: 7}, 2)
}

// TestQueueOnFullDisk: a queue on disk counts what its disk refused as queued and
// as refused, and forgets what it then cannot take out.
func TestQueueOnFullDisk(t *testing.T) {
	flow, books := spans.Flow{Sampled: 10, Waiting: 1}, host.SpanBooks{Sent: 2, Refused: 4, Queued: 7}
	for keeps, want := range map[bool]int64{true: 4, false: 8} {
		if a := (account{}).live(flow, books, &spanExporter{keeps: keeps}); a.Queued != want {
			t.Errorf("on disk %v: %d are queued; want %d", keeps, a.Queued, want)
		}
	}
	e, now := &spanExporter{keeps: true}, time.Now()
	look := func(after time.Duration, sent, want int64) {
		t.Helper()
		now = now.Add(after)
		a := e.lose(account{}.live(spans.Flow{Sampled: 10}, host.SpanBooks{Sent: sent, Refused: 4}, e), now)
		if a.Failed != want {
			t.Errorf("%d are lost; want %d", a.Failed, want)
		}
	}
	look(0, 2, 0)
	look(stillFor-1, 2, 0)
	look(1, 3, 0) // it moved
	look(stillFor, 3, 3)
	look(stillFor, 3, 3)
	look(stillFor, 3, 3)
}
