package extauthz

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
)

// inputs keeps the input of the last request it allowed.
type inputs struct {
	input any
	query mesh.Query
}

func (d *inputs) Decide(_ context.Context, q *mesh.Query) (mesh.Decision, error) {
	d.query = *q
	v, ok := q.Request.Lookup(nil)
	if !ok {
		return mesh.Decision{}, errors.New("no input")
	}
	b, err := json.Marshal(plain(v)) // the strings are lent
	if err != nil {
		return mesh.Decision{}, err
	}
	if err := json.Unmarshal(b, &d.input); err != nil {
		return mesh.Decision{}, err
	}
	return mesh.Decision{Verdict: &mesh.Verdict{Allowed: true}, ID: "id"}, nil
}

// at returns what is at a path of the input, nil if nothing is.
func (d *inputs) at(path string) any {
	x := d.input
	for name := range strings.SplitSeq(path, "/") {
		m, ok := x.(map[string]any)
		if !ok {
			return nil
		}
		x = m[name]
	}
	return x
}

func newTestForward(t *testing.T, d mesh.Decider, change func(*ForwardConfig)) (*Forward, *prometheus.Registry) {
	t.Helper()
	s, reg := newTestServer(t, d, nil)
	cfg := DefaultForwardConfig()
	cfg.TrustedProxies = []string{"192.0.2.0/24"} // httptest's clients
	change(&cfg)
	f, err := s.NewForward(cfg)
	if err != nil {
		t.Fatalf("NewForward: %v", err)
	}
	return f, reg
}

func ask(f *Forward, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

// spoofed is everything by which a client might try to be somebody else, or ask
// about another request.
var spoofed = map[string]string{
	"X-Original-Url": "/spoofed", "X-Original-Uri": "/spoofed", "X-Original-Method": "SPOOFED", "X-Rewrite-Url": "/spoofed",
	"X-Forwarded-Method": "SPOOFED", "X-Forwarded-Proto": "spoofed", "X-Forwarded-Host": "spoofed", "X-Forwarded-Uri": "/spoofed",
	"X-Forwarded-For": "6.6.6.6", "X-Real-Ip": "6.6.6.6", "Forwarded": "for=6.6.6.6",
	"X-Forwarded-Client-Cert": "URI=spiffe://spoofed", "X-Envoy-Original-Path": "/spoofed", "X-Http-Method-Override": "SPOOFED",
	"Tallygate.entrypoint": "spoofed", "X-Tallygate-Entrypoint": "spoofed", "X-Envoy-Auth-Partial-Body": "true",
}

func TestForwardIgnoresSpoofedHeaders(t *testing.T) {
	f := func(mode Mode, own map[string]string, change func(*ForwardConfig), wantHost, wantClient string) {
		t.Helper()
		d := new(inputs)
		handler, reg := newTestForward(t, d, func(c *ForwardConfig) {
			c.Mode = mode
			if change != nil {
				change(c)
			}
		})
		target := "http://tallygate.example/auth"
		if mode == ModeEnvoy {
			target = "http://orders.example/orders/7?a=b"
		}
		r := httptest.NewRequest("GET", target, nil)
		r.RequestURI = r.URL.RequestURI() // as a server reads it
		headers := maps.Clone(spoofed)
		maps.Copy(headers, own) // what a proxy sets takes the place of what the client sent
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		if w := ask(handler, r); w.Code != 200 || w.Header().Get(headerDecisionID) != "id" {
			t.Fatalf("%s: %d %v", mode, w.Code, w.Header())
		}
		for path, want := range map[string]any{
			"attributes/request/http/method":                    "GET",
			"attributes/request/http/path":                      "/orders/7?a=b",
			"attributes/request/http/host":                      wantHost,
			"attributes/request/http/headers/:path":             "/orders/7?a=b",
			"attributes/request/http/headers/:authority":        wantHost,
			"attributes/source/address/socketAddress/address":   wantClient,
			"attributes/source/principal":                       "configured",
			"attributes/contextExtensions/tenant":               "configured",
			"attributes/contextExtensions/tallygate.entrypoint": nil,
			"source_principal":                                  "configured",
			"attributes/request/http/headers/forwarded":         "for=6.6.6.6", // data
		} {
			if got := d.at(path); got != want {
				t.Errorf("%s: %s = %v; want %v", mode, path, got, want)
			}
		}
		if partial := d.at("attributes/request/http/headers/x-envoy-auth-partial-body"); partial != nil && mode != ModeEnvoy {
			t.Errorf("%s: %v is believed", mode, partial)
		}
		if d.query.Entrypoint != "configured" || d.query.Listener != mesh.ListenerForwardAuth {
			t.Errorf("%s: query %+v", mode, d.query)
		}
		// A header of the mode that comes twice was not overwritten by the proxy.
		for name := range own {
			r.Header.Add(name, headers[name])
			if w := ask(handler, r); w.Code != 400 && w.Code != 403 {
				t.Errorf("%s: two of %s: %d; want 400", mode, name, w.Code)
			}
			r.Header.Del(name)
			if w := ask(handler, r); w.Code != 400 && w.Code != 403 {
				t.Errorf("%s: none of %s: %d; want 400", mode, name, w.Code)
			}
			r.Header.Set(name, headers[name])
		}
		// The same from a peer that is no trusted proxy, whatever it says who it is.
		d.input = nil
		for _, remote := range []string{"198.51.100.1:1", "@", ""} {
			for _, name := range []string{"X-Forwarded-For", "X-Real-Ip"} {
				was := r.Header.Get(name)
				r.RemoteAddr = remote
				r.Header.Set(name, "192.0.2.1")
				if w := ask(handler, r); w.Code != 403 || d.input != nil {
					t.Errorf("%s: from %q with %s: %d; want 403", mode, remote, name, w.Code)
				}
				r.Header.Set(name, was)
			}
		}
		if n := ingesttest.Metric(t, reg, "tallygate_extauthz_requests_refused_total", string(badProxy)); n != 6 {
			t.Errorf("%s: %v refused; want 6", mode, n)
		}
	}
	common := func(c *ForwardConfig) {
		c.Principal, c.Entrypoint, c.ContextExtensions = "configured", "configured", map[string]string{"tenant": "configured"}
	}
	f(ModeEnvoy, nil, common, "orders.example", "192.0.2.1")
	f(ModeNginx, map[string]string{"X-Original-Url": "https://orders.example/orders/7?a=b", "X-Original-Method": "GET"}, common, "orders.example", "192.0.2.1")
	f(ModeNginx, map[string]string{"X-Original-Uri": "/orders/7?a=b", "X-Original-Method": "GET", "X-Real-Ip": "10.1.2.3"}, func(c *ForwardConfig) {
		common(c)
		c.OriginalURLHeader, c.ClientIPHeader = "X-Original-URI", "X-Real-IP"
	}, "tallygate.example", "10.1.2.3")
	f(ModeTraefik, map[string]string{
		"X-Forwarded-Method": "GET", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "orders.example",
		"X-Forwarded-Uri": "/orders/7?a=b", "X-Forwarded-For": "6.6.6.6, 10.1.2.3",
	}, common, "orders.example", "10.1.2.3")
}

func TestForwardPrincipalIsThatOfTheCertificate(t *testing.T) {
	d := new(inputs)
	handler, _ := newTestForward(t, d, func(c *ForwardConfig) { c.Principal = "configured" })
	cert := &x509.Certificate{URIs: []*url.URL{{Scheme: "spiffe", Host: "td", Path: "/ns/edge/sa/nginx"}}}
	r := httptest.NewRequest("GET", "/", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	ask(handler, r)
	if got := d.at("attributes/source/principal"); got != "configured" {
		t.Errorf("a certificate that nobody verified: %v", got)
	}
	r.TLS.VerifiedChains = [][]*x509.Certificate{{cert}}
	ask(handler, r)
	if got := d.at("attributes/source/principal"); got != "spiffe://td/ns/edge/sa/nginx" {
		t.Errorf("principal %v", got)
	}
}

// TestForwardBelievesNoPrincipal: without a certificate and without one in the
// configuration there is none, whatever a header says, in every mode.
func TestForwardBelievesNoPrincipal(t *testing.T) {
	for _, mode := range []Mode{ModeEnvoy, ModeNginx, ModeTraefik} {
		d := new(inputs)
		handler, _ := newTestForward(t, d, func(c *ForwardConfig) { c.Mode = mode })
		r := httptest.NewRequest("GET", "/orders/7", nil)
		for name, value := range map[string]string{
			"X-Original-Url": "/orders/7", "X-Original-Method": "GET", "X-Forwarded-Method": "GET", "X-Forwarded-Proto": "https",
			"X-Forwarded-Host": "orders.example", "X-Forwarded-Uri": "/orders/7", "X-Forwarded-For": "10.1.2.3",
			"X-Forwarded-Client-Cert": "By=spiffe://td/a;URI=spiffe://td/admin", "X-Ssl-Client-S-Dn": "CN=admin", "Ssl-Client-Verify": "SUCCESS",
			"X-Forwarded-Tls-Client-Cert": "admin", "X-Forwarded-User": "admin", "X-Source-Principal": "spiffe://td/admin", "Source_principal": "spiffe://td/admin",
		} {
			r.Header.Set(name, value)
		}
		if w := ask(handler, r); w.Code != 200 {
			t.Fatalf("%s: %d %v", mode, w.Code, w.Header())
		}
		if got := d.at("attributes/source/principal"); got != nil && got != "" {
			t.Errorf("%s: principal %v; want none", mode, got)
		}
		if d.query.Entrypoint != "" || d.at("attributes/contextExtensions") != nil {
			t.Errorf("%s: query %+v, extensions %v; want none", mode, d.query, d.at("attributes/contextExtensions"))
		}
	}
}

func TestForwardAnswersTrustedProxiesOnly(t *testing.T) {
	f := func(remote string, trusted []string, want int) {
		t.Helper()
		handler, reg := newTestForward(t, always(&mesh.Verdict{Allowed: true}), func(c *ForwardConfig) { c.TrustedProxies = trusted })
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		if w := ask(handler, r); w.Code != want {
			t.Errorf("%s of %q: %d; want %d", remote, trusted, w.Code, want)
		}
		if n := ingesttest.Metric(t, reg, "tallygate_extauthz_requests_refused_total", string(badProxy)); (n == 1) != (want == 403) {
			t.Errorf("%s: refused %v", remote, n)
		}
	}
	f("10.0.0.1:1", []string{"10.0.0.0/8"}, 200)
	f("[::ffff:10.0.0.1]:1", []string{"10.0.0.1"}, 200)
	f("[::1]:1", []string{"::1"}, 200)
	f("@", []string{"unix"}, 200)
	f("11.0.0.1:1", []string{"10.0.0.0/8", "unix"}, 403)
	f("@", []string{"10.0.0.0/8"}, 403)
	f("nonsense", []string{"0.0.0.0/0", "unix"}, 403)
}

func TestForwardAnswers(t *testing.T) {
	f := func(mode Mode, v mesh.Verdict, wantCode int, wantBody string, want ...string) {
		t.Helper()
		v.Rule = "rules.rego:1"
		handler, _ := newTestForward(t, always(&v), func(c *ForwardConfig) { c.Mode = mode })
		r := httptest.NewRequest("GET", "/", nil)
		for _, name := range []string{"X-Original-Url", "X-Original-Method", "X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri"} {
			r.Header.Set(name, "/")
		}
		r.Header.Set("X-Original-Method", "GET")
		r.Header.Set("X-Forwarded-Method", "GET")
		r.Header.Set("X-Forwarded-For", "10.0.0.1")
		for range 2 { // rendered, and as rendered
			w := ask(handler, r)
			got := w.Header()
			if got.Get(headerRule) != "rules.rego:1" || len(got.Get(headerDecisionID)) != 32 {
				t.Errorf("%s: %v", mode, got)
			}
			for _, name := range []string{headerRule, headerDecisionID, "Content-Length", "Content-Type"} {
				got.Del(name)
			}
			header := http.Header{}
			for i := 0; i < len(want); i += 2 {
				header.Add(want[i], want[i+1])
			}
			if w.Code != wantCode || w.Body.String() != wantBody || !maps.EqualFunc(got, header, func(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }) {
				t.Errorf("%s: %d %q %v; want %d %q %v", mode, w.Code, w.Body, got, wantCode, wantBody, header)
			}
		}
	}
	header := func(name, value string) []mesh.Header { return []mesh.Header{{Name: name, Value: value}} }
	f(ModeNginx, mesh.Verdict{Allowed: true, Headers: header("x-user", "alice"), ResponseHeaders: header("set-cookie", "a")}, 200, "", "X-User", "alice", "Set-Cookie", "a")
	f(ModeEnvoy, mesh.Verdict{Allowed: true, HeadersToRemove: []string{"authorization", "cookie"}}, 200, "", headerRemove, "authorization,cookie")
	f(ModeNginx, mesh.Verdict{Allowed: true, HeadersToRemove: []string{"authorization"}}, 403, "")
	f(ModeEnvoy, mesh.Verdict{Allowed: true, QueryToRemove: []string{"token"}}, 403, "")
	f(ModeEnvoy, mesh.Verdict{Allowed: true, Headers: header("x-user", "a\r\nb: c")}, 403, "")
	f(ModeEnvoy, mesh.Verdict{Allowed: true, Headers: header("content-length", "7")}, 403, "")
	f(ModeEnvoy, mesh.Verdict{Status: 401, Body: "log in", Headers: header("www-authenticate", "Bearer")}, 401, "log in", "Www-Authenticate", "Bearer")
	f(ModeEnvoy, mesh.Verdict{Status: 302, Headers: header("location", "/login")}, 302, "", "Location", "/login")
	f(ModeTraefik, mesh.Verdict{Status: 429}, 429, "")
	f(ModeTraefik, mesh.Verdict{Status: 200}, 403, "", headerStatus, "200")
	f(ModeNginx, mesh.Verdict{Status: 429}, 403, "", headerStatus, "429")
	f(ModeEnvoy, mesh.Verdict{Status: 503}, 403, "", headerStatus, "503")
	f(ModeEnvoy, mesh.Verdict{Status: 999}, 403, "")
}

func TestForwardFailures(t *testing.T) {
	f := func(o OnError, want int, outcome string) {
		t.Helper()
		s, reg := newTestServer(t, deciderFunc(func(context.Context, *mesh.Query) (mesh.Decision, error) {
			return mesh.Decision{}, errors.New("broken")
		}), func(c *Config) { c.OnError = o })
		cfg := DefaultForwardConfig()
		cfg.TrustedProxies = []string{"0.0.0.0/0"}
		handler, err := s.NewForward(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if w := ask(handler, httptest.NewRequest("GET", "/", nil)); w.Code != want || w.Header().Get(headerError) != ingest.FailedError {
			t.Errorf("%s: %d %v; want %d", o, w.Code, w.Header(), want)
		}
		if n := ingesttest.Metric(t, reg, "tallygate_extauthz_checks_total", "forward_auth", outcome); n != 1 {
			t.Errorf("%s: %s = %v; want 1", o, outcome, n)
		}
	}
	f(OnErrorAllow, 200, "error_allow")
	f(OnErrorDeny, 403, "error_deny")
	f(OnErrorResponse, 503, "error_response")
}

func TestForwardBody(t *testing.T) {
	d := new(inputs)
	handler, _ := newTestForward(t, d, func(*ForwardConfig) {})
	f := func(body io.Reader, want any, truncated bool) {
		t.Helper()
		r := httptest.NewRequest("POST", "/", body)
		r.Header.Set("Content-Type", "application/json")
		if w := ask(handler, r); w.Code != 200 {
			t.Fatalf("%d %v", w.Code, w.Header())
		}
		if got := d.at("parsed_body/user"); got != want || d.at("truncated_body") != truncated {
			t.Errorf("parsed_body.user = %v, truncated %v; want %v, %v", got, d.at("truncated_body"), want, truncated)
		}
	}
	f(strings.NewReader(`{"user": "alice"}`), "alice", false)
	f(io.MultiReader(strings.NewReader(`{"user": "chunked"}`)), "chunked", false)
	f(strings.NewReader(`{"user": "`+strings.Repeat("a", 1<<20)+`"}`), nil, true)
	f(nil, nil, false)
}
