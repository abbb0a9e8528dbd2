//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/policy"
)

// candidatePolicy denies what gatePolicy allows below /allow to all but alice,
// and allows /nothing, which gatePolicy denies.
const candidatePolicy = `package envoy.authz

default allow := false

http := input.attributes.request.http

allow if {
	startswith(http.path, "/allow")
	http.headers["x-user"] == "alice"
}

allow if http.path == "/nothing"
`

// A candidate judges live traffic beside the enforced policy: what clients get
// stays as it is, and what they would get is counted and shown.
//
//	client ──▶ envoy ──▶ application
//	             └─Check─▶ tallygate ─▶ enforced
//	                           └─copy─▶ candidate
func TestExtAuthzShadow(t *testing.T) {
	candidate := filepath.Join(t.TempDir(), "candidate.rego")
	if err := os.WriteFile(candidate, []byte(candidatePolicy), 0o644); err != nil {
		t.Fatal(err)
	}
	g := startGated(t, nil, func(policy object) {
		policy["shadow"] = object{"paths": array{candidate}, "share": 1}
	})
	Eventually(t, 20*time.Second, func(context.Context) error {
		if g.own(t, `tallygate_opa_activations_total{policy="shadow"}`) == "0" {
			return fmt.Errorf("no candidate yet")
		}
		return nil
	})
	const each = 5
	for range each { // hits of the decision cache are judged too
		for _, r := range []struct {
			path, user string
			code       int
		}{{"/allow/1", "alice", 200}, {"/allow/1", "bob", 200}, {"/nothing", "bob", 403}, {"/login", "bob", 401}} {
			if a := send(t, g.closed, "GET", r.path, "", "x-user", r.user, "authorization", "Bearer secret"); a.code != r.code {
				t.Errorf("%s of %s: %d; want the enforced policy's %d", r.path, r.user, a.code, r.code)
			}
		}
	}
	line := func(part string) (n int) {
		for i, l := range strings.Split(candidatePolicy, "\n") {
			if strings.HasPrefix(l, part) {
				n = i + 1
			}
		}
		return n
	}
	type cell struct{ enforced, shadow, rule string }
	want := map[cell]int{
		{"allow", "allow", fmt.Sprintf("envoy.authz.allow:%d", line("allow if {"))}:        each,
		{"allow", "deny", fmt.Sprintf("envoy.authz.allow:%d", line("default allow"))}:      each,
		{"deny", "allow", fmt.Sprintf("envoy.authz.allow:%d", line("allow if http.path"))}: each,
		{"deny", "deny", fmt.Sprintf("envoy.authz.allow:%d", line("default allow"))}:       each,
	}
	Eventually(t, 20*time.Second, func(context.Context) error {
		for c, n := range want {
			series := fmt.Sprintf("tallygate_policy_shadow_decisions_total{enforced=%q,rule=%q,shadow=%q}", c.enforced, c.rule, c.shadow)
			if got := g.own(t, series); got != fmt.Sprint(n) {
				return fmt.Errorf("%s %s; want %d", series, got, n)
			}
		}
		return nil
	})
	differences, text := g.differences(t)
	if len(differences) != 2*each || strings.Contains(text, "secret") {
		t.Errorf("%d differences; want %d, without secrets: %s", len(differences), 2*each, text)
	}
	for _, d := range differences {
		var in struct {
			Attributes struct {
				Request struct{ HTTP struct{ Path string } }
			}
		}
		if err := json.Unmarshal(d.Input, &in); err != nil {
			t.Fatalf("%s: %v", d.Input, err)
		}
		wantPath := map[string]string{"allow": "/allow/1", "deny": "/nothing"}[d.Enforced]
		if d.Enforced == d.Shadow || d.Listener != "ext_authz_http" || d.EnforcedRule == "" || d.ShadowRule == "" || in.Attributes.Request.HTTP.Path != wantPath {
			t.Errorf("%+v", d)
		}
	}
}

// differences returns the last requests that the candidate judged differently.
func (g *gated) differences(t *testing.T) (list []policy.Difference, text string) {
	t.Helper()
	token, err := os.ReadFile(g.tallygate.Token)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.tallygate.Admin+"/api/v1/shadow", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return list, string(b)
}
