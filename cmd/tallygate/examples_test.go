package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy/opa"
)

// readNames are what the README of the examples calls the paths of the input.
var readNames = map[string]string{
	"input.attributes.request.http.method":                         "method",
	"input.attributes.request.http.host":                           "host",
	"input.attributes.source.principal":                            "caller",
	"input.attributes.destination.principal":                       "callee",
	"input.attributes.source.address.socketAddress.address":        "address",
	"input.attributes.destination.address.socketAddress.portValue": "port",
	"input.parsed_path":                                            "path",
	`input.parsed_path["0"]`:                                       "segment 0",
}

func readName(p mesh.Path) string {
	if len(p) == 5 && p[3] == "headers" {
		return "`" + p[4] + "`"
	}
	return readNames[p.String()]
}

var exampleRow = regexp.MustCompile(`(?m)^\| \[(\w+)\]\(\w+\) \| .* \| (.*) \|$`)

// TestExamplePolicies: their tests pass and reach every line, what they decide is
// cached, and they read what the README says.
func TestExamplePolicies(t *testing.T) {
	readme, err := os.ReadFile("../../examples/policies/README.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, row := range exampleRow.FindAllStringSubmatch(string(readme), -1) {
		said[row[1]] = row[2]
	}
	files, err := filepath.Glob("../../examples/policies/*/policy.rego")
	if err != nil || len(files) < 10 || len(files) != len(said) {
		t.Fatalf("%d examples, %v; the README has %v", len(files), err, slices.Sorted(maps.Keys(said)))
	}
	for _, file := range files {
		cfg := opa.DefaultConfig()
		cfg.Paths, cfg.Strict = []string{filepath.Dir(file)}, true
		r, err := opa.Test(t.Context(), &cfg, opa.TestOptions{})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, one := range r.Tests {
			if !one.Passed {
				t.Errorf("%s: %s fails: %s", one.At, one.Name, one.Err)
			}
		}
		if len(r.Tests) == 0 || r.Coverage < 100 {
			t.Errorf("%s: %d tests reach %.0f %%, not %v", file, len(r.Tests), r.Coverage, r.Uncovered)
		}
		g, err := opa.Compile(t.Context(), &cfg)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		s, err := g.Shape("")
		if err != nil || !s.Cacheable || s.NeedsTTL {
			t.Errorf("%s: %v, %v", file, s.Reasons, err)
			continue
		}
		var reads []string
		for _, p := range s.Paths {
			reads = append(reads, readName(p))
		}
		want := strings.Split(said[filepath.Base(filepath.Dir(file))], ", ")
		slices.Sort(reads)
		slices.Sort(want)
		if !slices.Equal(reads, want) {
			t.Errorf("%s reads %q; the README says %q", file, reads, want)
		}
	}
}
