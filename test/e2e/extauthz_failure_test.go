//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Whatever goes wrong, the answer is the configured one, and it shows: in
// Envoy's counters, and in Tallygate's where it still runs.
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
	marked := func(what string, a answer) {
		t.Helper()
		if a.app.Header.Get("x-envoy-auth-failure-mode-allowed") != "true" {
			t.Errorf("%s: Envoy did not mark what it let pass: %v", what, a.app.Header)
		}
	}
	outcome := func(outcome string) string {
		return fmt.Sprintf("tallygate_extauthz_checks_total{listener=\"ext_authz_http\",outcome=%q}", outcome)
	}

	// A policy that is slower than it may be: Tallygate's own answers come
	// before Envoy gives up.
	g.counts(t, "slow", func() { want("slow", g.closed, "/slow", 503) },
		counted{"http denied": 1, outcome("error_deny"): 1})
	g.counts(t, "slow, fails open", func() {
		if a := want("slow, fails open", g.closed, "/lenient/slow", 200); a.app.Header.Get("x-envoy-auth-failure-mode-allowed") != "" {
			t.Error("an answer of Tallygate was taken for a failure")
		}
	}, counted{"http ok": 1, outcome("error_allow"): 1})
	g.counts(t, "slow, left to a proxy that fails closed", func() { want("slow, left to a proxy that fails closed", g.closed, "/proxys/slow", 503) },
		counted{"http error": 1, outcome("error_response"): 1})
	g.counts(t, "slow, left to a proxy that fails open", func() {
		marked("slow", want("slow, left to a proxy that fails open", g.open, "/proxys/slow", 200))
	}, counted{"http error": 1, "http failure_mode_allowed": 1, outcome("error_response"): 1})
	if n := g.own(t, `tallygate_extauthz_failures_total{reason="deadline"}`); n != "4" {
		t.Errorf("%s failures by the deadline; want 4", n)
	}
	g.counts(t, "after that", func() { want("after that", g.closed, "/allow", 200) }, counted{"http ok": 1, outcome("allow"): 1})
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
	g.counts(t, "stalled, fails closed", func() { want("stalled, fails closed", g.closed, "/allow", 403) },
		counted{"http error": 1, "timeout": 1})
	g.counts(t, "stalled, fails open", func() { marked("stalled", want("stalled, fails open", g.open, "/nothing", 200)) },
		counted{"http error": 1, "timeout": 1, "http failure_mode_allowed": 1})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
	g.failsTCP(t, "stalled", counted{"tcp error": 2, "timeout": 2, "tcp failure_mode_allowed": 1})
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
	g.counts(t, "killed, fails closed", func() { want("killed, fails closed", g.closed, "/allow", 403) }, counted{"http error": 1})
	g.counts(t, "killed, fails open", func() { marked("killed", want("killed, fails open", g.open, "/nothing", 200)) },
		counted{"http error": 1, "http failure_mode_allowed": 1})
	g.failsTCP(t, "killed", counted{"tcp error": 2, "tcp failure_mode_allowed": 1})
}

// failsTCP sees that TCP fails closed and open as configured.
func (g *gated) failsTCP(t *testing.T, what string, want counted) {
	t.Helper()
	g.counts(t, what+", TCP", func() {
		if passes(t, g.tcpAllowed) || !passes(t, g.tcpOpen) {
			t.Errorf("%s: want TCP to fail closed and open as configured", what)
		}
	}, want)
}

// counted is by how much counters grow: Envoy's, as "http error", "tcp error"
// and "timeout" (of its calls, over either), and Tallygate's, by series.
type counted map[string]int64

// counts sees that do makes the counters grow as wanted. Of Envoy's those of
// all outcomes are compared; of Tallygate's, if any is wanted, all outcomes of
// checks.
func (g *gated) counts(t *testing.T, what string, do func(), want counted) {
	t.Helper()
	ours := false
	for name := range want {
		ours = ours || strings.HasPrefix(name, "tallygate_")
	}
	before := g.counters(t, ours)
	do()
	Eventually(t, 10*time.Second, func(context.Context) error {
		grown := counted{}
		for name, n := range g.counters(t, ours) {
			if n != before[name] {
				grown[name] = n - before[name]
			}
		}
		if !maps.Equal(grown, want) {
			return fmt.Errorf("%s: the counters grew by %v; want %v", what, grown, want)
		}
		return nil
	})
}

func (g *gated) counters(t *testing.T, ours bool) counted {
	t.Helper()
	const timeout = "cluster.tallygate.upstream_rq_timeout"
	stats, err := g.envoy.Stats(t.Context(), "ext_authz|"+timeout)
	if err != nil {
		t.Fatal(err)
	}
	all := counted{"timeout": stats[timeout]}
	for short, long := range map[string]string{"http": "http.gate.ext_authz", "tcp": "ext_authz.tcp"} {
		for _, outcome := range []string{"ok", "denied", "error", "failure_mode_allowed"} {
			all[short+" "+outcome] = stats[long+"."+outcome]
		}
	}
	if ours {
		for series, v := range g.ownAll(t, "tallygate_extauthz_checks_total{") {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			all[series] = n
		}
	}
	return all
}
