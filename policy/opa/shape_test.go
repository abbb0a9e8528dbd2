package opa

import (
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

func TestShape(t *testing.T) {
	f := func(name, module, paths, kinds string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			s, err := compile(t, "package p\n"+module).Shape("")
			if err != nil {
				t.Fatal(err)
			}
			var got, gotKinds []string
			for _, p := range s.Paths {
				got = append(got, strings.TrimPrefix(p.String(), "input."))
			}
			for _, p := range s.Kinds {
				gotKinds = append(gotKinds, strings.TrimPrefix(p.String(), "input."))
			}
			if g := strings.Join(got, " "); g != paths {
				t.Errorf("paths: got %q, want %q", g, paths)
			}
			if g := strings.Join(gotKinds, " "); g != kinds {
				t.Errorf("kinds: got %q, want %q", g, kinds)
			}
		})
	}
	f("constant", `default allow := false`, "", "")
	f("direct", `allow if input.a.b == "x"`, "a.b", "")
	f("alias", `allow if { h := input.a; h.b == "x"; h.c["d-e"] }`, `a.b a.c["d-e"]`, "a")
	f("chained alias", `allow if { h := input.a; i := h.b; i.c }`, "a.b.c", "a a.b")
	f("alias read in full", `allow if { h := input.a; h.b == "x"; count(h) > 0 }`, "a", "")
	f("unused", `allow if { x = input.a.b }`, "", "a.b")
	f("compared variable", `allow if { x := input.a; x == input.b }`, "a b", "")
	f("dynamic", `allow if { input.a[input.b].c }`, "a b", "")
	f("iteration", `allow if { some x in input.a; x.b }`, "a", "")
	f("array element", `allow if { input.a[0] == "x" }`, "a", "")
	f("path segment", `allow if input.parsed_path[0] == "x"`, `parsed_path["0"]`, "parsed_path")
	f("query value", `allow if input.parsed_query.q[0] == "x"`, `parsed_query.q["0"]`, "parsed_query.q")
	f("field like an index", `allow if input.a["0"] == "x"`, `a`, "")
	f("rule alias", "h := input.a.b\nallow if h.c", "a.b.c", "")
	f("rule alias of alias", "g := h.b\nh := input.a\nallow if g.c", "a.b.c", "")
	f("rule alias with a condition", "h := input.a.b if input.x\nallow if h.c", "a.b.c x", "a.b")
	f("rule alias replaced", "h := input.a.b\nallow if h.c with data.p.h as input.d", "a.b.c d", "a.b")
	f("two rules compare", "h := input.a if input.x\nh := input.b if input.y\nallow if h.c", "a b x y", "")
	f("else", "h := input.a if { input.x } else := input.b\nallow if h.c", "a.c b.c x", "a b")
	f("else body", "allow if { input.a } else := true if { input.b }", "a b", "")
	f("function", "f(x) if x.b == \"c\"\nallow if f(input.a)", "a.b", "a")
	f("function chain", "g(y) := y.c\nf(x) if g(x.b) == \"c\"\nallow if f(input.a)", "a.b.c", "a a.b")
	f("function of whole input", "f(x) := x.a.b\nallow if f(input) == 1", "a.b", "")
	f("function with pattern", "f([x, y]) if x == y\nallow if f([input.a, input.b])", "a b", "")
	f("function with a computed argument", "f({v | v := input.b.c}) := 1\nallow if f(input.a)", "a b.c", "")
	f("function else", "f(x) if { x.a } else := true if { x.b }\nallow if f(input.r)", "r.a r.b", "r")
	f("mocked function", "f(x) if x.b\ng(x) if x.c\nallow if f(input.a) with f as g", "a", "")
	f("object.get", `allow if object.get(input.a, "k", "") == "v"`, "a.k", "a")
	f("object.get path", `allow if object.get(input.a, ["k", "l"], "") == "v"`, "a.k.l", "a")
	f("object.get dynamic", `allow if object.get(input.a, input.b, "") == "v"`, "a b", "")
	f("comprehension", `allow if { xs := {x | some x in input.a; x == input.b}; count(xs) > 0 }`, "a b", "")
	f("every", `allow if { every x in input.a { x == input.b.c } }`, "a b.c", "")
	f("not", `allow if { not input.a.b }`, "a.b", "")
	f("with", `h if input.x == 1
allow if { h with input.x as input.y }`, "x y", "")
	f("partial set", "s contains input.a if input.b\nallow if s[\"x\"]", "a b", "")
	f("partial object", "o[input.k] := input.v if input.b\nallow if o.x", "b k v", "")
	f("ref head", "o.x[k] := v if { k := input.a; v := input.b }\no.y := input.c\nallow if o.x.z", "a b", "")
	f("dynamic data", "q := input.a if true\nallow if data.p.q\n", "a", "")
	f("dynamic package", "allow if data.z[input.k].v", "k", "")
	f("import", "import input.a.b as h\nallow if h.c", "a.b.c", "")
	f("whole", `allow if count(input) > 1`, "input", "")
	f("default function", "default f(_) := false\nf(x) if x.y\nallow if f(input.a)", "a.y", "a")
	f("unreachable", "other if input.z\nallow if input.a", "a", "")
	f("template", `allow if $"{input.a.b}x" == "yx"`, "a.b", "")
	f("set comparison", `allow if {1, input.a} == {1, 2}`, "a", "")
}

func TestCacheable(t *testing.T) {
	f := func(module string, cacheable, needsTTL bool, reason string) {
		t.Helper()
		s, err := compile(t, "package p\n"+module).Shape("")
		if err != nil {
			t.Fatal(err)
		}
		if s.Cacheable != cacheable || s.NeedsTTL != needsTTL {
			t.Errorf("%s:\ngot cacheable %v needs TTL %v, want %v %v: %v", module, s.Cacheable, s.NeedsTTL, cacheable, needsTTL, s.Reasons)
		}
		if reason == "" && len(s.Reasons) == 0 {
			return
		}
		if len(s.Reasons) == 0 || !strings.Contains(s.Reasons[0].String(), reason) || reason == "" {
			t.Errorf("%s:\ngot reasons %v, want %q", module, s.Reasons, reason)
		}
	}
	f(`allow if input.attributes.request.http.method == "GET"`, true, false, "")
	f(`allow if count(input) > 0`, false, false, "p.rego:2: input: the whole input")
	f(`allow if input.attributes.request.http.headers["x-request-id"]`, false, false, "unique to the request")
	f(`allow if count(input.attributes.request.http.headers) < 9`, false, false, `p.rego:2: input.attributes.request.http.headers: it is read as a whole`)
	f(`allow if input.attributes.request.time`, false, false, "never the same")
	f(`allow if input.attributes.source.address.socketAddress.portValue > 1`, false, false, "source port")
	f(`allow if input.attributes.source.address.socketAddress.address == "::1"`, true, false, "")
	f(`allow if time.now_ns() > 3`, false, false, "p.rego:2: time.now_ns: its result rests on the clock")
	f(`allow := {"allowed": true, "cache": {"ttl": "1s"}} if time.now_ns() > 3`, true, true, "rests on the clock; decisions are kept only if")
	f("# METADATA\n# custom:\n#   tallygate: {cache: {ttl: 30s}}\nallow if time.now_ns() > 3", true, false, "")
	f(`allow if crypto.x509.parse_and_verify_certificates(input.c)[0]`, false, false, "crypto.x509.parse_and_verify_certificates")
	f(`allow if io.jwt.decode_verify(input.t, {"secret": "x"})[0]`, true, false, "")
	f(`allow if { f := 1; count([1]) == f with count as data.p.r }
r(_) := rand.intn("x", 3)`, false, false, "rand.intn: its result rests on chance")
	f("r := opa_runtime_like\nopa_runtime_like := 1\nallow if r", true, false, "")
}

// What an upgrade of OPA brings has to be judged.
func TestClasses(t *testing.T) {
	for _, b := range ast.Builtins {
		c, ok := classes[b.Name]
		if !ok {
			t.Errorf("%s is not in the table: say whether it rests on more than its arguments", b.Name)
		}
		if b.Nondeterministic && c == pure {
			t.Errorf("%s is marked as non-deterministic by OPA and is not here", b.Name)
		}
	}
	for name := range classes {
		if _, ok := ast.BuiltinMap[name]; !ok {
			t.Errorf("%s is not a built-in of OPA any more", name)
		}
	}
	all := ast.CapabilitiesForThisVersion().Builtins
	for _, b := range all {
		if !slices.ContainsFunc(ast.Builtins, func(o *ast.Builtin) bool { return o.Name == b.Name }) {
			t.Errorf("%s is registered beside OPA's own", b.Name)
		}
	}
}
