package opa

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTest(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "p.rego"), `package envoy.authz

default allow := false

allow if {
	input.user == data.owner
}

allow if {
	input.admin
}
`)
	write(t, filepath.Join(dir, "data.json"), `{"owner": "alice"}`)
	write(t, filepath.Join(dir, "sub", "p_test.rego"), `package envoy.authz_test

import data.envoy.authz

test_owner if authz.allow with input as {"user": "alice"}

test_wrong if {
	print("who")
	authz.allow with input as {"user": "bob"}
}

todo_test_later if authz.allow
`)
	cfg := DefaultConfig()
	cfg.Paths = []string{dir}
	r, err := Test(t.Context(), &cfg, TestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	find := func(name string) TestResult {
		i := slices.IndexFunc(r.Tests, func(x TestResult) bool { return x.Name == "envoy.authz_test."+name })
		if i < 0 {
			t.Fatalf("no %s in %+v", name, r.Tests)
		}
		return r.Tests[i]
	}
	if x := find("test_owner"); !x.Passed || !strings.HasSuffix(x.At, "p_test.rego:5") {
		t.Errorf("%+v", x)
	}
	if x := find("test_wrong"); x.Passed || !strings.Contains(x.Output, "who") {
		t.Errorf("%+v", x)
	}
	if x := find("todo_test_later"); !x.Skipped {
		t.Errorf("%+v", x)
	}
	if r.Coverage <= 0 || r.Coverage >= 100 || !slices.ContainsFunc(r.Uncovered, func(s string) bool { return strings.Contains(s, "p.rego:9") || strings.Contains(s, "p.rego:10") }) {
		t.Errorf("coverage %v, uncovered %v", r.Coverage, r.Uncovered)
	}
	if r, err = Test(t.Context(), &cfg, TestOptions{Run: "owner", Bench: true}); err != nil || len(r.Tests) != 1 || r.Tests[0].Bench == nil || r.Tests[0].Bench.Runs == 0 {
		t.Errorf("got %+v, %v", r, err)
	}
	if r, err = Test(t.Context(), &cfg, TestOptions{Run: "owner"}); err != nil || len(r.Tests) != 1 {
		t.Errorf("filtered: %+v, %v", r, err)
	}
	write(t, filepath.Join(dir, "broken_test.rego"), "package x\ntest_a if nonsense(1)\n")
	if _, err := Test(t.Context(), &cfg, TestOptions{}); err == nil || !strings.Contains(err.Error(), "broken_test.rego:2") {
		t.Errorf("broken: %v", err)
	}
}
