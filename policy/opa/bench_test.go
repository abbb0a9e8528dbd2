package opa

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/util"
)

const benchInput = `{
  "attributes": {
    "source": {"address": {"socketAddress": {"address": "10.1.2.3", "portValue": 41234}}, "principal": "spiffe://cluster.local/ns/shop/sa/web"},
    "destination": {"address": {"socketAddress": {"address": "10.1.9.9", "portValue": 8080}}, "principal": "spiffe://cluster.local/ns/shop/sa/cart",
      "labels": {"app": "cart", "version": "v1", "security.istio.io/tlsMode": "istio", "service.istio.io/canonical-name": "cart"}},
    "request": {"time": "2026-11-22T10:00:00.123456Z", "http": {
      "id": "8812345678901234567", "method": "GET", "path": "/api/v1/carts/42?currency=EUR&lang=de", "host": "cart.shop.svc.cluster.local:8080",
      "protocol": "HTTP/1.1", "size": "0", "headers": {
        ":authority": "cart.shop.svc.cluster.local:8080", ":method": "GET", ":path": "/api/v1/carts/42?currency=EUR&lang=de", ":scheme": "http",
        "accept": "application/json, text/plain;q=0.9", "accept-encoding": "gzip, deflate", "authorization": "Bearer %s",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "x-b3-sampled": "1", "x-b3-spanid": "00f067aa0ba902b7", "x-b3-traceid": "4bf92f3577b34da6a3ce929d0e0e4736",
        "x-envoy-attempt-count": "1", "x-forwarded-client-cert": "By=spiffe://cluster.local/ns/shop/sa/cart;Hash=0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0;URI=spiffe://cluster.local/ns/shop/sa/web",
        "x-forwarded-proto": "http", "x-request-id": "9d0c1f5e-2f52-4d2b-8f53-0d2c58a7d1b1", "x-tenant": "acme"}}},
    "metadataContext": {}, "routeMetadataContext": {}
  },
  "parsed_path": ["api", "v1", "carts", "42"], "parsed_query": {"currency": ["EUR"], "lang": ["de"]}, "parsed_body": null,
  "truncated_body": false, "version": {"encoding": "protojson", "ext_authz": "v3"}
}`

const benchSecret = "a secret that is long enough for HS256"

func jwt(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	text := enc([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc([]byte(claims))
	mac := hmac.New(sha256.New, []byte(benchSecret))
	mac.Write([]byte(text))
	return text + "." + enc(mac.Sum(nil))
}

var benchPolicies = []struct{ name, module string }{
	{"allow", `package p
allow := true`},
	{"rbac list", `package p
default allow := false
http := input.attributes.request.http
claims := payload if {
	[_, payload, _] := io.jwt.decode(trim_prefix(http.headers.authorization, "Bearer "))
}
allow if {
	some rule in data.rules
	rule.method == http.method
	rule.role == claims.role
	startswith(http.path, rule.prefix)
}`},
	{"rbac indexed", `package p
default allow := false
http := input.attributes.request.http
claims := payload if {
	[_, payload, _] := io.jwt.decode(trim_prefix(http.headers.authorization, "Bearer "))
}
allow if {
	some rule in data.by_role[claims.role]
	rule.method == http.method
	startswith(http.path, rule.prefix)
}`},
	{"jwt verify", `package p
default allow := false
token := trim_prefix(input.attributes.request.http.headers.authorization, "Bearer ")
allow if {
	[valid, _, claims] := io.jwt.decode_verify(token, {"secret": data.secret, "alg": "HS256", "iss": "https://issuer"})
	valid
	claims.role == "role-99"
}`},
}

func benchData() map[string]any {
	var rules []any
	byRole := map[string]any{}
	for i := range 100 {
		role := fmt.Sprintf("role-%d", i)
		rule := map[string]any{"method": "GET", "role": role, "prefix": fmt.Sprintf("/api/v%d/", i%10)}
		if i == 99 {
			rule["prefix"] = "/api/v1/"
		}
		rules = append(rules, rule)
		byRole[role] = []any{rule}
	}
	return map[string]any{"rules": rules, "by_role": byRole, "secret": benchSecret}
}

func benchRequest(t testing.TB) *request {
	return newRequest(t, strings.Replace(benchInput, "%s",
		jwt(`{"iss":"https://issuer","sub":"ann","role":"role-99","exp":4102444800,"scope":"read write"}`), 1))
}

// straightforward is OPA as its documentation shows it: one prepared query, the
// input a map.
func straightforward(t testing.TB, module string) rego.PreparedEvalQuery {
	t.Helper()
	q, err := rego.New(rego.Query("data.p.allow"), rego.Module("p.rego", module),
		rego.Store(inmem.NewFromObject(benchData()))).PrepareForEval(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// cpu reports the processor time per operation, which other load on the machine
// disturbs less.
func cpu(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	begin := used()
	return func() { b.ReportMetric(float64(used()-begin)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkUncached compares an evaluation that nothing was kept of with OPA used
// the straightforward way. Both begin at a decoded request: ours looks up what
// the shape names, theirs converts the whole.
func BenchmarkUncached(b *testing.B) {
	for _, p := range benchPolicies {
		b.Run(p.name+"/ours", func(b *testing.B) {
			g := compileWith(b, Config{Entrypoint: "p/allow"}, p.module, benchData())
			r := benchRequest(b)
			defer cpu(b)()
			b.ReportAllocs()
			for b.Loop() {
				res, err := g.Evaluate(context.Background(), "", r)
				if err != nil || !res.Verdict.Allowed {
					b.Fatal(res, err)
				}
			}
		})
		b.Run(p.name+"/straightforward", func(b *testing.B) {
			q := straightforward(b, p.module)
			r := benchRequest(b)
			defer cpu(b)()
			b.ReportAllocs()
			for b.Loop() {
				rs, err := q.Eval(context.Background(), rego.EvalInput(r.input))
				if err != nil || !rs.Allowed() {
					b.Fatal(rs, err)
				}
			}
		})
	}
}

// BenchmarkInput is what building the input costs.
func BenchmarkInput(b *testing.B) {
	r := benchRequest(b)
	b.Run("ours", func(b *testing.B) {
		g := compileWith(b, Config{Entrypoint: "p/allow"}, benchPolicies[1].module, benchData())
		b.ReportAllocs()
		for b.Loop() {
			g.entries[""].plan.build(r)
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			x := r.input
			if err := util.RoundTrip(&x); err != nil {
				b.Fatal(err)
			}
			if _, err := ast.InterfaceToValue(x); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What the benchmark compares must be the same decision.
func TestBenchPoliciesAgree(t *testing.T) {
	for _, p := range benchPolicies {
		r := benchRequest(t)
		rs, err := straightforward(t, p.module).Eval(context.Background(), rego.EvalInput(r.input))
		if err != nil || !rs.Allowed() {
			t.Errorf("%s: got %v, %v", p.name, rs, err)
		}
		res, err := compileWith(t, Config{Entrypoint: "p/allow"}, p.module, benchData()).Evaluate(context.Background(), "", r)
		if err != nil || !res.Verdict.Allowed {
			t.Errorf("%s: got %+v, %v", p.name, res, err)
		}
		if strings.Contains(p.module, "io.jwt") && res.Expires.Unix() != 4102444800 {
			t.Errorf("%s: expires %v", p.name, res.Expires)
		}
	}
}
