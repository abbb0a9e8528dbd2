//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/tallygate/tallygate/test/testbed"
)

// shownEdge is an edge as the admin API has it.
type shownEdge struct {
	ID, Source, Destination string
	Errors, Denied          int
	ErrorRatio              float64  `json:"error_ratio"`
	P95                     float64  `json:"p95_ms"`
	SeenBy                  []string `json:"seen_by"`
}

// shownEntry is a request as the admin API has it.
type shownEntry struct {
	Outcome, Source, Destination, Path, Rule string
	TraceID                                  string `json:"trace_id"`
	DecisionID                               string `json:"decision_id"`
}

// The on-call's way: one service of a healthy mesh breaks, and within seconds the
// console, top and tap point at its edge; from there it is clicks to a request
// with its trace and the rule that decided.
//
//	driver ─▶ [client] ─┬─▶ [frontend] ─▶ app
//	                    └─▶ [backend]  ─▶ app, which breaks
func TestConsole(t *testing.T) {
	w := startPoliced(t, allowAll)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for _, host := range []string{testbed.HostFrontend, testbed.HostBackend} {
		go w.driver.Ask(ctx, 10, host, "/status/200")
	}
	b := openConsole(t, w.tallygate)
	b.shows(30*time.Second, "#status", "requests/s", "2 edges")
	b.shows(10*time.Second, "main .count", "3 services, 2 edges")
	b.pictures("graph")

	t.Run("a link works once", func(t *testing.T) {
		b.run(chromedp.Navigate("about:blank"), chromedp.Navigate("http://"+w.tallygate.Admin+"/#login=used"))
		b.shows(10*time.Second, "main", "This page needs a token", "not, or no longer, valid")
		b.pictures("locked")
		b.run(chromedp.Navigate("about:blank"), chromedp.Navigate(consoleLink(t, w.tallygate)))
		b.shows(20*time.Second, "#status", "requests/s")
		if where := eval[string](b, "location.href"); strings.Contains(where, "login") {
			t.Errorf("the code stays in %s", where)
		}
	})

	first := func(sort string) (e shownEdge, err error) {
		var got struct{ Edges []shownEdge }
		if err := api(t, w.tallygate, &got, "top", "--sort", sort); err != nil {
			return e, err
		}
		if len(got.Edges) == 0 {
			return e, errors.New("no edges")
		}
		return got.Edges[0], nil
	}
	breaks := func(name, sort string, break_ func(), bad func(shownEdge) bool, chip string) {
		t.Run(name, func(t *testing.T) {
			break_()
			began := time.Now()
			Eventually(t, 15*time.Second, func(context.Context) error {
				e, err := first(sort)
				if err == nil && (e.Destination != "backend-v1" || !bad(e)) {
					err = fmt.Errorf("top has first %+v", e)
				}
				if err == nil && chip != "" && !strings.Contains(b.text(".worst"), chip) {
					err = fmt.Errorf("the console has among the worst %q; want %q", b.text(".worst"), chip)
				}
				return err
			})
			t.Logf("top and the console pointed at the edge after %.1f s", time.Since(began).Seconds())
		})
	}
	b.view("graph")
	breaks("latency", "latency", func() { w.mesh.Backend.Break(testbed.Fault{Delay: 400 * time.Millisecond}) },
		func(e shownEdge) bool { return e.P95 > 200 }, "")
	w.mesh.Backend.Break(testbed.Fault{})
	breaks("errors", "errors", func() { w.mesh.Backend.Break(testbed.Fault{Code: 500}) },
		func(e shownEdge) bool { return e.ErrorRatio > 0.2 }, "client-v1.shop → backend-v1.shop")
	w.mesh.Backend.Break(testbed.Fault{})
	breaks("denied", "denied", func() { w.enforce(t, denyBackend) },
		func(e shownEdge) bool { return e.Denied > 0 }, "client-v1.shop → backend-v1.shop")

	t.Run("tap", func(t *testing.T) {
		Eventually(t, 15*time.Second, func(context.Context) error {
			out, err := w.tallygate.Run(t.Context(), "tap", "--denied", "--to", "backend-v1.shop", "--server", w.tallygate.Admin, "--token-file", w.tallygate.Token, "-o", "json")
			if err != nil {
				return err
			}
			line := strings.TrimSpace(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:])
			var e shownEntry
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				return fmt.Errorf("%w: %q", err, line)
			}
			if e.Outcome != "denied" || e.Destination != "backend-v1" || e.TraceID == "" || e.DecisionID == "" || !strings.Contains(e.Rule, "envoy.authz.allow:") {
				return fmt.Errorf("%+v; want a denial at the backend with its trace and rule", e)
			}
			return nil
		})
	})

	t.Run("clicks", func(t *testing.T) {
		b.view("edges")
		b.click(`[data-sort="denied"]`)
		b.shows(15*time.Second, "#edge-table tbody tr[data-id]", "backend-v1")
		b.pictures("edges")
		b.click("#edge-table tbody tr[data-id]")
		b.shows(15*time.Second, "#panel", "client-v1.shop → backend-v1.shop", "Last errors and denials", "403")
		b.pictures("edge")
		b.click("#panel a[data-entry]")
		b.shows(15*time.Second, "#panel", "Decision", "deny", "envoy.authz.allow:", "Trace", "/status/200", "Input, without what is masked")
		b.shows(15*time.Second, "#trace .waterfall", "backend", "ms")
		b.pictures("entry")
		b.run(chromedp.KeyEvent(kb.Escape))
		b.shows(5*time.Second, "#panel", "")

		// By keys: filter, choose, open.
		b.press("/", "Slash")
		if !eval[bool](b, `document.activeElement.matches('main input[type="search"]')`) {
			t.Error("/ does not lead to the filter")
		}
		b.run(chromedp.KeyEvent("frontend"))
		b.shows(5*time.Second, "main .count", "1 of 2 edges")
		b.run(chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent("j"), chromedp.KeyEvent(kb.Enter))
		b.shows(10*time.Second, "#panel", "client-v1.shop → frontend-v1.shop")

		b.view("tap")
		b.shows(15*time.Second, "main .count", "live from")
		b.shows(15*time.Second, "#tap-table tbody", "client-v1.shop → frontend-v1.shop", "200")
		b.run(chromedp.SetValue(chromedp.CSS("#tap-outcome"), "denied"))
		eval[chromedp.Void](b, `document.querySelector("#tap-outcome").dispatchEvent(new Event("change"))`)
		b.shows(15*time.Second, "#tap-table tbody tr", "403", "backend-v1")
		b.pictures("tap")
		if text := b.text("#tap-table tbody"); strings.Contains(text, "frontend-v1") {
			t.Errorf("the tap of denials shows\n%s", text)
		}

		b.run(chromedp.KeyEvent("4"))
		b.shows(15*time.Second, "main", "Policies in use", "generation", "Decision cache", "input.attributes.request.http.host", "Last denials", "envoy.authz.allow:")
		b.pictures("policy")
		b.view("proxies")
		b.shows(15*time.Second, "#proxy-table", "client-v1.shop", "backend-v1.shop", "ok")
		b.pictures("proxies")
		w.enforce(t, limitBackend)
		b.view("quotas")
		replica := instance(t, w.tallygate)
		b.shows(15*time.Second, "#quota-table", "backend-hourly", "3 per 1h", replica)
		b.shows(15*time.Second, "#quota-keys", "backend-hourly", "GET", "100.0 %", replica)
		b.pictures("quotas")
	})

	t.Run("disconnected", func(t *testing.T) {
		b.view("graph")
		b.shows(10*time.Second, "main .count", "services")
		stop()
		if err := w.tallygate.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		b.shows(20*time.Second, "#status", "does not answer")
		b.pictures("disconnected")
	})
}
