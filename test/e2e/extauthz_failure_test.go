//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// Whatever goes wrong, the answer is the configured one, and it shows.
//
//	client ──▶ envoy ──Check──▶ tallygate (slow, stalled, killed)
func TestExtAuthzFailures(t *testing.T) {
	g := startGated(t, object{
		"on_error": "deny", "error_status": 503, "timeout": "200ms",
		"entrypoints": object{"lenient": object{"on_error": "allow"}, "proxys": object{"on_error": "error_response"}},
	})
	want := func(what, listener, path string, code int) answer {
		t.Helper()
		a := send(t, listener, "GET", path, "", "x-user", "alice")
		if a.code != code {
			t.Errorf("%s: %s: %d %q; want %d", what, path, a.code, a.body, code)
		}
		return a
	}
	failure := func(reason string) string {
		return g.own(t, fmt.Sprintf("tallygate_extauthz_failures_total{reason=%q}", reason))
	}
	proxyErrors := func() int64 {
		t.Helper()
		stats, err := g.envoy.Stats(t.Context(), "ext_authz")
		if err != nil {
			t.Fatal(err)
		}
		return stats["http.gate.ext_authz.error"]
	}

	// A policy that is slower than it may be: Tallygate's own answers come
	// before Envoy gives up.
	want("slow", g.closed, "/slow", 503)
	a := want("slow, fails open", g.closed, "/lenient/slow", 200)
	if a.app.Header.Get("x-envoy-auth-failure-mode-allowed") != "" {
		t.Error("an answer of Tallygate was taken for a failure")
	}
	before := proxyErrors()
	want("slow, left to a proxy that fails closed", g.closed, "/proxys/slow", 503)
	if after := proxyErrors(); after != before+1 {
		t.Errorf("Envoy counts %d errors; want %d: error_response is none to it", after, before+1)
	}
	a = want("slow, left to a proxy that fails open", g.open, "/proxys/slow", 200)
	if a.app.Header.Get("x-envoy-auth-failure-mode-allowed") != "true" {
		t.Errorf("Envoy did not mark what it let pass: %v", a.app.Header)
	}
	if n := failure("deadline"); n != "4" {
		t.Errorf("%s failures by the deadline; want 4", n)
	}
	want("after that", g.closed, "/allow", 200)
	g.wantLog(t, `\S+ id=[0-9a-f]{32} rule=- tier=- error=deadline`)

	// Stalled: Envoy's own timeout.
	if err := g.tallygate.Pause(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, 10*time.Second, func(context.Context) error { // the signal takes its time
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.tallygate.PID()))
		if err == nil && !strings.Contains(string(status), "\nState:\tT") {
			err = errors.New("it still runs")
		}
		return err
	})
	began := time.Now()
	want("stalled, fails closed", g.closed, "/allow", 403)
	want("stalled, fails open", g.open, "/nothing", 200)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
	if passes(t, g.tcpAllowed) || !passes(t, g.tcpOpen) {
		t.Error("stalled: want TCP to fail closed and open as configured")
	}
	if err := g.tallygate.Resume(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, 20*time.Second, func(context.Context) error {
		if a := send(t, g.closed, "GET", "/allow", "", "x-user", "alice"); a.code != 200 {
			return fmt.Errorf("resumed: %d", a.code)
		}
		return nil
	})

	// Killed.
	if err := g.tallygate.Kill(); err != nil {
		t.Fatal(err)
	}
	want("killed, fails closed", g.closed, "/allow", 403)
	a = want("killed, fails open", g.open, "/nothing", 200)
	if a.app.Header.Get("x-envoy-auth-failure-mode-allowed") != "true" {
		t.Errorf("Envoy did not mark what it let pass: %v", a.app.Header)
	}
	if passes(t, g.tcpAllowed) || !passes(t, g.tcpOpen) {
		t.Error("killed: want TCP to fail closed and open as configured")
	}
}
