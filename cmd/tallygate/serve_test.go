package main

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/internal/telemetry"
)

func TestServe(t *testing.T) {
	p := startProc(t, "")
	e := dialEnvoy(t, p.alsListener.Addr().String(), nil)
	e.mustSend(7, nil)
	p.until("7 requests are counted", func() bool { return p.requests() == 7 })

	_, body := p.get(p.metricsURL())
	for _, want := range []string{
		`source_workload="a"`, `destination_service="b.default.svc.cluster.local"`,
		"tallygate_als_entries_received_total 7",
		`istio_request_duration_milliseconds_bucket{`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in /metrics", want)
		}
	}
	f := func(path string, wantCode int, want string) {
		t.Helper()
		if code, body := p.get(p.adminURL(path)); code != wantCode || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s; want %d with %q", path, code, body, wantCode, want)
		}
	}
	f("/healthz", 200, "ok")
	f("/readyz?verbose", 200, "[+] serving ok")
	f("/metrics", 200, "tallygate_config_last_reload_success 1")
	f("/metrics", 200, "tallygate_build_info{")
	f("/metrics", 200, "tallygate_als_entries_received_total 7")
	f("/metrics", 200, `tallygate_ingest_connections{listener="ingest.als"} 1`)
	f("/debug/config", 200, "token: '[REDACTED]'")
	f("/api/v1/proxies", 200, `"node":"b-1"`)
	f("/debug/pprof/goroutine?debug=1", 200, "goroutine profile")
}

// TestDrain: not ready ▸ streams end ▸ last scrape ▸ everything is closed.
func TestDrain(t *testing.T) {
	p := startProc(t, "drain: {timeout: 10s, final_scrape: 10s}")
	e := dialEnvoy(t, p.alsListener.Addr().String(), nil)
	e.mustSend(3, nil)
	p.until("3 requests are counted", func() bool { return p.requests() == 3 })

	e.mustSend(4, nil) // not yet scraped when the drain begins
	p.cancel()
	p.until("it is not ready", func() bool {
		code, body := p.get(p.adminURL("/readyz?verbose"))
		return code == 503 && strings.Contains(body, "draining")
	})
	// The handler returns by itself, and what was sent before is counted.
	if _, err := e.stream.CloseAndRecv(); err != nil && err != io.EOF && status.Code(err) != codes.OK {
		t.Errorf("the stream ended with %v; want OK", err)
	}
	p.until("the streams have ended", func() bool { return strings.Contains(p.log.String(), "Streams have ended") })
	select {
	case err := <-p.done:
		t.Fatalf("run ended before the final scrape: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	// Whoever comes now is not let in.
	late := dialEnvoy(t, p.alsListener.Addr().String(), nil)
	if err := late.open(); err == nil {
		if _, err = late.stream.CloseAndRecv(); status.Code(err) != codes.Unavailable {
			t.Errorf("a new stream while draining: %v; want Unavailable", err)
		}
	}
	url := p.metricsURL()
	if got := p.requests(); got != 7 {
		t.Errorf("the final scrape has %v requests; want 7", got)
	}
	if err := p.ended(); err != nil {
		t.Errorf("run: %v", err)
	}
	if _, _, err := get(url); err == nil {
		t.Error("/metrics is still served")
	}
}

func TestDrainWithoutScrape(t *testing.T) {
	p := startProc(t, "drain: {final_scrape: 1h}")
	e := dialEnvoy(t, p.alsListener.Addr().String(), nil)
	e.mustSend(1, nil)
	p.cancel()
	if err := p.ended(); err != nil {
		t.Errorf("run: %v", err)
	}
	if !strings.Contains(p.log.String(), "Nobody has scraped lately") {
		t.Errorf("log:\n%s", p.log)
	}
}

func TestFinalScrapeDoesNotCome(t *testing.T) {
	p := startProc(t, "drain: {final_scrape: 200ms}")
	p.requests()
	p.cancel()
	if err := p.ended(); err != nil {
		t.Errorf("run: %v", err)
	}
	if !strings.Contains(p.log.String(), "No scrape came after the last count") {
		t.Errorf("log:\n%s", p.log)
	}
}

func TestPortsTaken(t *testing.T) {
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	src := config.Sources{Sets: []string{
		"ingest.als.endpoint=" + addrs[0], "prometheus.endpoint=127.0.0.1:0", "admin.endpoint=" + addrs[1],
	}}
	cfg, err := loadConfig(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDaemon(cfg, src, telemetry.NewLog(cfg.Log, t.Output()))
	if err != nil {
		t.Fatal(err)
	}
	err = d.listen(t.Context())
	for _, want := range []string{
		"ingest.als.endpoint: listen tcp " + addrs[0] + ": address already in use; ",
		"admin.endpoint: listen tcp " + addrs[1] + ": address already in use; ",
		"--set admin.endpoint=",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("listen = %v; want %q in it", err, want)
		}
	}
}

// TestStageFails: a listener that dies takes the process down in order.
func TestStageFails(t *testing.T) {
	p := startProc(t, "drain: {timeout: 1s}")
	p.until("it is ready", func() bool { code, _ := p.get(p.adminURL("/readyz")); return code == 200 })
	p.metricsListener.Close()
	if err := p.ended(); err == nil || !strings.Contains(err.Error(), "prometheus: serving: ") {
		t.Errorf("run = %v; want the failure of the listener", err)
	}
}
