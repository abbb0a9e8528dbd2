package main

import (
	"path/filepath"
	"testing"

	"github.com/tallygate/tallygate/policy/opa"
)

// TestExamplePolicies: their tests pass and reach every line, and what they
// decide is cached.
func TestExamplePolicies(t *testing.T) {
	files, err := filepath.Glob("../../examples/policies/*/policy.rego")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		cfg := opa.DefaultConfig()
		cfg.Paths = []string{filepath.Dir(file)}
		r, err := opa.Test(t.Context(), &cfg, "")
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
		if s, err := g.Shape(""); err != nil || !s.Cacheable || s.NeedsTTL {
			t.Errorf("%s: %v, %v", file, s.Reasons, err)
		}
	}
}
