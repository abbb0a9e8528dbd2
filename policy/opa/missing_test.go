package opa

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestMissing(t *testing.T) {
	f := func(body string, want ...Missing) {
		t.Helper()
		cfg := Config{Entrypoint: "envoy/authz/allow"}
		g, err := CompileSources(t.Context(), &cfg, &Sources{Modules: map[string]string{
			"a.rego": "package envoy.authz\n\nimport data.other\nimport data.issuer\n\ndefault allow := false\n\n" + body,
			"b.rego": "package other\n\nnames contains \"a\"\n\nprefix.deep[x] := 1 if some x in [\"a\"]\n\nis(x) if x == 1\n",
		}, Data: object(map[string]any{"issuer": map[string]any{"name": "i", "keys": []any{"k"}}, "other": map[string]any{"base": json.Number("1")}})})
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if got := g.Missing(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v; want %v", body, got, want)
		}
	}
	f("allow if data.isuer.name == input.x", Missing{"a.rego", 8, "data.isuer"})
	f("allow if data.issuer.nam == input.x", Missing{"a.rego", 8, "data.issuer.nam"})
	f("allow if issuer.nam[input.x]", Missing{"a.rego", 8, "data.issuer.nam"})
	f("allow if data.other.nmes[input.x]", Missing{"a.rego", 8, "data.other.nmes"})
	f("allow if {\n\tinput.y\n\tcount([x | some x in data.none]) == 0\n}", Missing{"a.rego", 10, "data.none"})
	f("allow := data.none if input.y\n\nelse := data.nothing.at.all", Missing{"a.rego", 8, "data.none"}, Missing{"a.rego", 10, "data.nothing"})
	f("allow if input.x == 1 with input.x as data.none", Missing{"a.rego", 8, "data.none"})

	f("allow if data.issuer.name == input.x")
	f("allow if data.issuer.keys[0] == input.x")
	f("allow if data.issuer[input.x]")
	f("allow if data[input.x].y")
	f("allow if data.other.base == 1")
	f("allow if data.other.names[input.x]")
	f("allow if data.other.names.b")
	f("allow if data.other.prefix.deep.b")
	f("allow if other.is(input.x)")
	f("allow if data.other == input.x")
	f("allow if not data.maintenance")
	f("allow if input.x == 1 with data.mocked as 1\n\nother_rule if data.mocked.y")
	f("allow if data.system.bundles.x")
	f("http := input.attributes.request.http\n\nallow if http.method == \"GET\"")
}

// TestExamplesMissNothing: what the examples refer to is there.
func TestExamplesMissNothing(t *testing.T) {
	root := filepath.Join("..", "..", "examples", "policies")
	dirs, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		n++
		cfg := DefaultConfig()
		cfg.Paths = []string{filepath.Join(root, d.Name())}
		g, err := Compile(t.Context(), &cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Missing(); len(got) > 0 {
			t.Errorf("%s: %v", d.Name(), got)
		}
	}
	if n < 10 {
		t.Errorf("%d examples; want 10", n)
	}
}
