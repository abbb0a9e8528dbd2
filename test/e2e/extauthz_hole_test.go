//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const holePolicy = `package hole

answers if http.send({"url": "http://%s/", "method": "GET", "cache": false}).status_code == 200
`

const askingPolicy = `package envoy.authz

allow if {
	startswith(http.path, "/hole")
	data.hole.answers
}
`

// A policy asks a host that takes connections and never answers: checks are
// answered in time as configured, counted, and nothing is left behind.
//
//	client ──▶ envoy ──Check──▶ tallygate ──http.send──▶ black hole
func TestExtAuthzBlackHole(t *testing.T) {
	ip := net.IPv4(10, 0, 0, 1) // http.send refuses loopback
	if !ownNetwork(t, ip) {
		return
	}
	hole := digHole(t, ip)
	dir := t.TempDir()
	for name, text := range map[string]string{"hole.rego": fmt.Sprintf(holePolicy, hole.addr), "asking.rego": askingPolicy} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g := startGated(t, object{"on_error": "deny", "error_status": 503, "timeout": "200ms"}, func(policy object) {
		policy["paths"] = append(policy["paths"].(array), dir)
		policy["http_send"] = object{"hosts": array{ip.String()}}
	})
	const checks = 20
	began := time.Now()
	g.counts(t, "black hole", func() {
		var wg sync.WaitGroup
		for range checks {
			wg.Go(func() {
				if a := send(t, g.closed, "GET", "/hole", ""); a.code != 503 {
					t.Errorf("%d; want 503", a.code)
				}
			})
		}
		wg.Wait()
	}, counted{"http denied": checks, `tallygate_extauthz_checks_total{listener="ext_authz_http",outcome="error_deny"}`: checks})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("%d checks took %s; want them within their 200 ms each", checks, took)
	}
	if n := g.own(t, `tallygate_extauthz_failures_total{reason="deadline"}`); n != fmt.Sprint(checks) {
		t.Errorf("%s failures by the deadline; want %d", n, checks)
	}
	if hole.taken.Load() == 0 {
		t.Error("nobody asked the black hole: the test tests nothing")
	}
	Eventually(t, 20*time.Second, func(context.Context) error {
		inFlight := g.own(t, "tallygate_policy_evaluations_in_flight")
		if open := hole.open.Load(); open != 0 || inFlight != "0" {
			return fmt.Errorf("%d connections are still open, %s evaluations in flight", open, inFlight)
		}
		return nil
	})
	if a := send(t, g.closed, "GET", "/allow", "", "x-user", "alice"); a.code != 200 {
		t.Errorf("after that: %d; want 200", a.code)
	}
}

// hole takes connections, reads, and never answers.
type hole struct {
	addr        string
	taken, open atomic.Int64
}

func digHole(t *testing.T, ip net.IP) *hole {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	h := &hole{addr: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.taken.Add(1)
			h.open.Add(1)
			go func() {
				defer h.open.Add(-1)
				defer c.Close()
				_, _ = io.Copy(io.Discard, c)
			}()
		}
	}()
	return h
}
