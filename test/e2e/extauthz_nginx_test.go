//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/test/testbed"
)

const nginxPolicy = `package envoy.authz

default allow := false

http := input.attributes.request.http

allow := {"allowed": true, "headers": {"x-user": "judged"}, "response_headers_to_add": {"x-judged": "yes"}} if {
	http.path == "/orders?a=b"
	http.method == "POST"
	http.host == "shop.example"
	http.headers["x-case"] == "allow"
}

allow if http.headers["x-case"] == "bare"

allow := {"allowed": false, "http_status": 401, "headers": {"www-authenticate": "Bearer"}} if http.path == "/login"

allow := {"allowed": false, "http_status": 429} if http.path == "/busy"
`

// nginxServer is the example with the addresses of the test.
func nginxServer(t *testing.T, app, forward string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "examples", "nginx", "auth_request.conf"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("127.0.0.1:8080", app, "127.0.0.1:9192", forward).Replace(string(b))
}

// nginx' auth_request as its users write it, and clients that know the headers
// by which the answer might be bent.
//
//	client ──▶ nginx ──▶ application
//	             └─auth_request─▶ tallygate
func TestNginxAuthRequest(t *testing.T) {
	forward, err := testbed.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	checks, err := testbed.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(t.TempDir(), "policy.rego")
	if err := os.WriteFile(policy, []byte(nginxPolicy), 0o644); err != nil {
		t.Fatal(err)
	}
	tallygate := StartTallygate(t, testbed.TallygateConfig{More: object{
		"policy": object{"paths": array{policy}},
		"ingest": object{"extauthz": object{"endpoint": checks}, "forward_auth": object{"endpoint": forward, "mode": "nginx"}},
	}})
	app := httptest.NewServer(http.HandlerFunc(echoRequest))
	defer app.Close()
	nginx := start(t, func(ctx context.Context, b *testbed.Bed) (*testbed.Nginx, error) {
		return b.StartNginx(ctx, nginxServer(t, app.Listener.Addr().String(), forward))
	})
	ask := func(method, path string, headers ...string) answer {
		t.Helper()
		return send(t, nginx.Addr, method, path, "a body", headers...)
	}

	a := ask("POST", "/orders?a=b", "Host", "shop.example", "x-case", "allow", "x-user", "forged")
	if a.code != 200 || a.app.Header.Get("x-user") != "judged" || len(a.header.Get("x-decision")) != 32 {
		t.Errorf("allow: %+v", a)
	}
	if a := ask("GET", "/orders?a=b", "Host", "shop.example", "x-case", "allow"); a.code != 403 || len(a.header.Get("x-decision")) != 32 {
		t.Errorf("deny: %+v", a)
	}
	if a := ask("GET", "/login"); a.code != 401 || a.header.Get("www-authenticate") != "Bearer" {
		t.Errorf("login: %+v", a)
	}
	if a := ask("POST", "/orders?a=b", "Host", "shop.example", "x-case", "bare", "x-user", "forged"); a.code != 200 || a.app.Header.Get("x-user") != "" {
		t.Errorf("a header that the policy does not set: %+v", a)
	}
	if a := ask("GET", "/busy"); a.code != 403 {
		t.Errorf("a status that nginx does not know: %+v", a)
	}
	a = ask("GET", "/other", "Host", "shop.example", "x-case", "allow", "X-Original-URL", "/orders?a=b", "X-Original-Method", "POST",
		"X-Original-URI", "/orders?a=b", "X-Forwarded-Uri", "/orders?a=b", "X-Forwarded-Method", "POST", "X-Rewrite-URL", "/orders?a=b")
	if a.code != 403 {
		t.Errorf("spoofed: %+v", a)
	}

	if err := tallygate.Kill(); err != nil {
		t.Fatal(err)
	}
	if a := ask("POST", "/orders?a=b", "Host", "shop.example", "x-case", "allow"); a.code != 500 {
		t.Errorf("killed: %+v", a)
	}
}
