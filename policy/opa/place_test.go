package opa

import (
	"strings"
	"testing"

	"github.com/tallygate/tallygate/mesh"
)

// What the library reads is shown where the author calls it.
func TestPlace(t *testing.T) {
	g := compile(t, `package p

import data.tallygate.path

http := input.attributes.request.http

allow if {
	path.safe(http.method)
	template(input.parsed_path)
	path.clean
}

allow if path.safe(http.headers["x-method"])

allow if http.host == "a"

template(segments) if path.matches("/a/{id}", segments)`)
	f := func(at string, path ...string) {
		t.Helper()
		if got := g.entries[""].shape.At(mesh.Path(path)).String(); !strings.HasPrefix(got, at) || strings.Contains(at, "via") != strings.Contains(got, "via") {
			t.Errorf("%v: got %q, want %q", path, got, at)
		}
	}
	f("p.rego:8 (via tallygate:path.rego:", "attributes", "request", "http", "method")
	f("p.rego:10 (via tallygate:path.rego:", "attributes", "request", "http", "path")
	f("p.rego:13 (via tallygate:path.rego:", "attributes", "request", "http", "headers", "x-method")
	f("p.rego:15", "attributes", "request", "http", "host")
	f("p.rego:17 (via tallygate:path.rego:", "parsed_path")
}
