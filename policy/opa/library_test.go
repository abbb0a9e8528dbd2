package opa

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/policy/rego"
)

// TestLibrary: the tests of the shipped library pass and reach every line.
func TestLibrary(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Paths, cfg.HTTPSend.Hosts, cfg.Strict = []string{"../rego"}, []string{"issuer.example"}, true
	r, err := Test(t.Context(), &cfg, TestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for _, one := range r.Tests {
		if !one.Passed {
			t.Errorf("%s: %s fails: %s %s", one.At, one.Name, one.Err, one.Output)
		}
		tested[strings.TrimPrefix(strings.TrimPrefix(strings.Split(one.Name, "_test.")[0], "tallygate"), ".")] = true
	}
	if r.Coverage < 100 {
		t.Errorf("the tests reach %.1f %% of the library, not %v", r.Coverage, r.Uncovered)
	}
	for name := range rego.Library {
		if !tested[name] {
			t.Errorf("no test of %q", name)
		}
	}
}

// TestLibraryShapes: what a policy reads through the library is no more than the
// comments there say, and cacheable.
func TestLibraryShapes(t *testing.T) {
	data := map[string]any{"istio": []any{}, "rbac": map[string]any{}, "abac": []any{}, "jwt": map[string]any{}, "nets": []any{}}
	f := func(name, module, paths string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			g := compileWith(t, Config{Entrypoint: "p/allow", Strict: true}, "package p\nimport data.tallygate."+name+"\n"+module, data)
			s := g.entries[""].shape
			var got []string
			for _, p := range s.Paths {
				got = append(got, strings.NewReplacer("input.attributes.request.http.", "~", "input.attributes.", "@", "input.", "").Replace(p.String()))
			}
			if strings.Join(got, " ") != paths || !s.Cacheable || s.NeedsTTL {
				t.Errorf("reads %q, cacheable %v: %v", strings.Join(got, " "), s.Cacheable, s.Reasons)
			}
		})
	}
	f("jwt", `allow if jwt.verified(jwt.bearer, data.jwt).sub == "a"`, "~headers.authorization")
	f("jwt", `allow if "read" in jwt.scopes(jwt.verified_by(jwt.bearer, data.jwt))`, "~headers.authorization")
	f("spiffe", `allow if spiffe.peer.namespace == "shop"`, "@source.principal")
	f("spiffe", `allow if spiffe.self.namespace == spiffe.peer.namespace`, "@destination.principal @source.principal")
	f("cidr", `allow if cidr.within(cidr.client, data.nets)`, "@source.address.socketAddress.address")
	f("cidr", `allow if cidr.within(cidr.forwarded(data.nets), data.nets)`, `~headers["x-forwarded-for"] @source.address.socketAddress.address`)
	f("path", `allow if path.matches("/users/{id}", input.parsed_path)`, "parsed_path")
	f("path", `allow if path.under("/public", input.parsed_path)`, "parsed_path")
	f("path", `allow if path.safe(input.attributes.request.http.method)`, "~method")
	f("path", `allow if path.clean`, "~path")
	f("rbac", `allow if rbac.allowed(data.rbac, input.attributes.source.principal, input.attributes.request.http.method, input.parsed_path)`,
		"~method @source.principal parsed_path")
	f("abac", `allow if abac.allowed(data.abac, {"action": input.attributes.request.http.method})`, "~method")
	f("grpc", `allow if grpc.calls(["shop.*"])`, `~headers["content-type"] parsed_path`)
	f("mtls", `allow if mtls.mutual`, "@destination.principal @source.principal")
	f("mtls", `allow if mtls.satisfies(mtls.mode(data.jwt))`, "@destination.address.socketAddress.portValue @destination.principal @source.principal")
	f("istio", `allow := istio.decide(data.istio, istio.attributes)`,
		"@destination.address.socketAddress.portValue ~host ~method @source.principal parsed_path")
	f("istio", `allow := istio.decide(data.istio, {"http": true, "method": input.attributes.request.http.method})`, "~method")
}

// TestLibraryKeys: keys that are fetched change by themselves.
func TestLibraryKeys(t *testing.T) {
	module := `package p
import data.tallygate.jwks
import data.tallygate.jwt
allow := {"allowed": true%s} if jwt.verified(jwt.bearer, {"issuer": "i", "jwks": jwks.keys("https://issuer.example/keys", jwt.bearer)})`
	_, err := CompileSources(t.Context(), &Config{Entrypoint: "p/allow"}, &Sources{Modules: map[string]string{"p.rego": fmt.Sprintf(module, "")}})
	if err == nil || !strings.Contains(err.Error(), "list the hosts it may reach in http_send.hosts") {
		t.Errorf("got %v", err)
	}
	g := compileWith(t, Config{Entrypoint: "p/allow", HTTPSend: HTTPSend{Hosts: []string{"issuer.example"}}}, fmt.Sprintf(module, `, "cache": {"ttl": "30s"}`), nil)
	if s := g.entries[""].shape; !s.Cacheable || !s.NeedsTTL || !strings.Contains(s.Reasons[0].At.Via, "tallygate:jwks.rego") {
		t.Errorf("got %+v", s)
	}
}

// TestLibraryIsLoadedOnDemand: what nobody refers to is not there, however it is
// imported; a package of the same name is used instead.
func TestLibraryIsLoadedOnDemand(t *testing.T) {
	f := func(module, want string) {
		t.Helper()
		g := compile(t, "package p\n"+module)
		var got []string
		for _, name := range []string{"abac", "cidr", "grpc", "istio", "jwks", "jwt", "mtls", "path", "rbac", "request", "spiffe"} {
			if g.compiler.Modules["tallygate:"+name+".rego"] != nil {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: loads %q, want %q", module, got, want)
		}
	}
	f("allow := true", "")
	f("import data.tallygate.mtls\nallow if mtls.mutual", "mtls spiffe")
	f("import data.tallygate.path as route\nallow if route.clean", "path")
	f("import data.tallygate\nallow if tallygate.mtls.mutual", "mtls spiffe")
	f("import data.tallygate as t\nallow if t.path.clean", "path")
	f("allow if data.tallygate.path.clean", "path")
	f("allow if data.tallygate.request({}).parsed_path", "request")
	f("allow if data.tallygate[input.x].clean", "abac cidr grpc istio jwt mtls path rbac request spiffe")
	f("allow if data[input.x].y", "")

	cfg := Config{Entrypoint: "p/allow"}
	g, err := CompileSources(t.Context(), &cfg, &Sources{Modules: map[string]string{
		"p.rego":    "package p\nimport data.tallygate.path\nallow if path.clean",
		"path.rego": "package tallygate.path\nclean := true",
	}})
	if err != nil || g.compiler.Modules["tallygate:path.rego"] != nil || len(g.entries[""].shape.Paths) > 0 {
		t.Errorf("got %v", err)
	}
}

// TestPlainRequest: a key that is misspelt is an error, not undefined, by which the
// test of a denial would pass.
func TestPlainRequest(t *testing.T) {
	dir := t.TempDir()
	text := `package p_test
import data.tallygate
test_denied if not data.p.allow with input as tallygate.request({"pth": "/"})`
	if err := os.WriteFile(filepath.Join(dir, "p_test.rego"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "p.rego"), []byte("package p\nallow if input.parsed_path[0] == \"a\""), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Test(t.Context(), &Config{Paths: []string{dir}}, TestOptions{})
	if err != nil || len(r.Tests) != 1 || r.Tests[0].Passed || !strings.Contains(r.Tests[0].Err, "a key that it does not know") {
		t.Errorf("got %+v, %v", r, err)
	}
}
