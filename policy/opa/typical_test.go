package opa

import (
	"fmt"
	"strings"
	"testing"
)

// Policies as people write them for opa-envoy-plugin: what they decide, what
// they read and whether that can be cached.
func TestTypicalPolicies(t *testing.T) {
	http := func(method, path, headers string) string {
		return fmt.Sprintf(`{"attributes": {"source": {"principal": "spiffe://td/ns/shop/sa/web", "address": {"socketAddress": {"address": "10.1.2.3", "portValue": 4}}},
			"destination": {"principal": "spiffe://td/ns/shop/sa/cart"}, "contextExtensions": {"route": "cart"},
			"request": {"time": "now", "http": {"id": "1", "method": %q, "path": %q, "host": "shop.example.com", "headers": {%s}}}},
			"parsed_path": ["%s"], "parsed_query": {}, "parsed_body": {"amount": 7}, "truncated_body": false}`,
			method, path, headers, strings.Join(strings.Split(strings.Trim(path, "/"), "/"), `", "`))
	}
	f := func(name, module, allowed, denied, paths string, cacheable bool) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			g := compileWith(t, Config{Entrypoint: "p/allow"}, "package p\n"+module, map[string]any{
				"acl":    map[string]any{"ann": []any{"GET", "POST"}},
				"blocks": []any{"10.1.0.0/16"},
				"tokens": map[string]any{"k1": true},
			})
			if !evaluate(t, g, allowed).Verdict.Allowed {
				t.Error("denies what it should allow")
			}
			if evaluate(t, g, denied).Verdict.Allowed {
				t.Error("allows what it should deny")
			}
			s := g.entries[""].shape
			var got []string
			for _, p := range s.Paths {
				got = append(got, strings.NewReplacer("input.attributes.request.http.", "~", "input.attributes.", "@", "input.", "").Replace(p.String()))
			}
			if strings.Join(got, " ") != paths || s.Cacheable != cacheable {
				t.Errorf("reads %q, cacheable %v: %v", strings.Join(got, " "), s.Cacheable, s.Reasons)
			}
		})
	}
	get := http("GET", "/carts/7", `"x-user": "ann"`)
	f("methods", `import input.attributes.request.http as http
default allow := false
allow if http.method == "GET"`, get, http("POST", "/", ""), "~method", true)
	f("public paths", `default allow := false
allow if glob.match("/public/*", ["/"], input.attributes.request.http.path)
allow if input.attributes.request.http.path in {"/healthz", "/readyz"}`,
		http("GET", "/readyz", ""), get, "~path", true)
	f("roles", `default allow := false
user := input.attributes.request.http.headers["x-user"]
allow if input.attributes.request.http.method in data.acl[user]`,
		get, http("GET", "/", `"x-user": "bob"`), `~headers["x-user"] ~method`, true)
	f("source principal", `default allow := false
allow if startswith(input.attributes.source.principal, "spiffe://td/ns/shop/")`,
		get, `{"attributes": {"source": {"principal": "spiffe://td/ns/other/sa/x"}}}`, "@source.principal", true)
	f("blocked addresses", `default allow := true
allow := false if net.cidr_contains(data.blocks[_], input.attributes.source.address.socketAddress.address)`,
		`{"attributes": {"source": {"address": {"socketAddress": {"address": "10.2.2.3"}}}}}`, get,
		"@source.address.socketAddress.address", true)
	f("token", `default allow := false
bearer := t if {
	v := input.attributes.request.http.headers.authorization
	startswith(v, "Bearer ")
	t := substring(v, count("Bearer "), -1)
}
allow if {
	[ok, _, claims] := io.jwt.decode_verify(bearer, {"secret": "`+benchSecret+`", "iss": "i"})
	ok
	claims.role == "admin"
}`, http("GET", "/", `"authorization": "Bearer `+jwt(`{"iss": "i", "role": "admin", "exp": 4102444800}`)+`"`),
		http("GET", "/", `"authorization": "Bearer `+jwt(`{"iss": "i", "role": "admin", "exp": 1000}`)+`"`), "~headers.authorization", true)
	f("owner by path", `default allow := false
allow if {
	input.parsed_path = ["carts", id]
	id == input.attributes.request.http.headers["x-cart"]
}`, http("GET", "/carts/7", `"x-cart": "7"`), http("GET", "/carts/7", `"x-cart": "8"`), `~headers["x-cart"] parsed_path`, true)
	f("body", `default allow := {"allowed": false, "http_status": 413}
allow := {"allowed": true} if {
	not input.truncated_body
	input.parsed_body.amount < 10
}`, get, `{"truncated_body": true}`, "parsed_body.amount truncated_body", true)
	f("api key, found with object.get", `default allow := false
http := input.attributes.request.http
allow if data.tokens[object.get(http.headers, "x-api-key", "")]`,
		http("GET", "/", `"x-api-key": "k1"`), get, `~headers["x-api-key"]`, true)
	f("office hours", `default allow := false
allow if {
	[hour, _, _] := time.clock(time.now_ns())
	hour >= 0
	input.attributes.contextExtensions.route == "cart"
}`, get, "{}", "@contextExtensions.route", false)
	f("headers passed on", `allow := {"allowed": count(missing) == 0, "headers": {"x-missing": concat(",", missing)}}
missing contains name if {
	some name in ["x-user", "x-tenant"]
	not input.attributes.request.http.headers[name]
}`, http("GET", "/", `"x-user": "a", "x-tenant": "b"`), get, "~headers", false)
}

// What a policy says is judged as it is, however much of it there is.
func TestHostileInput(t *testing.T) {
	g := compile(t, `package p
allow := {"allowed": true, "headers": {"x-echo": input.attributes.request.http.headers["x-user"]}, "body": input.parsed_body}`)
	big := strings.Repeat("x", 10<<20)
	r := newRequest(t, `{}`)
	r.input = map[string]any{
		"attributes":  map[string]any{"request": map[string]any{"http": map[string]any{"headers": map[string]any{"x-user": "a\r\nevil: \xff\x00"}}}},
		"parsed_body": big,
	}
	res, err := g.Evaluate(t.Context(), "", r)
	if err != nil || len(res.Verdict.Body) != len(big) || res.Verdict.Headers[0].Value != "a\r\nevil: \xff\x00" {
		t.Errorf("got %v", err)
	}
	headers := map[string]any{}
	for i := range 1000 {
		headers[fmt.Sprintf("x-%d", i)] = "v"
	}
	r.input = map[string]any{"attributes": map[string]any{"request": map[string]any{"http": map[string]any{"headers": headers}}}}
	if res, err := g.Evaluate(t.Context(), "", r); err != nil || res.Defined {
		t.Errorf("got %+v, %v", res, err)
	}
}
