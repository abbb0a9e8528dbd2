package opa

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompileRefuses(t *testing.T) {
	strict := false
	f := func(files map[string]string, want ...string) {
		t.Helper()
		dir := t.TempDir()
		for name, text := range files {
			write(t, filepath.Join(dir, name), text)
		}
		_, err := Compile(context.Background(), &Config{Paths: []string{dir}, Entrypoint: "p/allow", Entrypoints: map[string]string{"x": "p/x"}, Strict: strict})
		for _, w := range want {
			if !strings.Contains(fmt.Sprint(err), strings.ReplaceAll(w, "DIR", dir)) {
				t.Errorf("got %v, want %q", err, w)
			}
		}
	}
	ok := "package p\nallow if true\nx if true\n"
	f(map[string]string{"p.rego": ok}, "<nil>")
	f(map[string]string{}, "no .rego file")
	f(map[string]string{"p.rego": "package p\nallow if x.\n"}, "DIR/p.rego:3: unexpected")
	f(map[string]string{"p.rego": "package p\nallow { true }\n"}, "DIR/p.rego:2", "opa fmt --v0-v1")
	f(map[string]string{"p.rego": ok + "y if nowhere(1)"}, "DIR/p.rego:4: undefined function nowhere")
	unused := map[string]string{"p.rego": ok + "z if { q := 1 }"}
	f(unused, "<nil>")
	strict = true
	f(unused, "DIR/p.rego:4: ", "assigned var q unused")
	strict = false
	f(map[string]string{"p.rego": "package p\nallow if true\n"}, "entrypoints.x: there is no rule data.p.x; there are p/allow")
	f(map[string]string{"p.rego": ok, "data.json": `{"p": {"allow": true}}`}, "DIR/p.rego:2", "conflict")
	f(map[string]string{"p.rego": ok, "a.json": `{"k": 1}`, "b.yaml": "k: 2"}, "DIR/b.yaml: data.k is in another file already")
	f(map[string]string{"p.rego": ok, "data.json": `[1]`}, "DIR/data.json: data must be an object")
	f(map[string]string{"p.rego": ok, "data.json": `{`}, "DIR/data.json: ")
	f(map[string]string{"p.rego": "# METADATA\n# custom:\n#   tallygate: {cache: {tll: 1s}}\n" + "package p\nallow if true\nx if true"},
		"annotation custom.tallygate: unknown key")
}

func TestDataByFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "p.rego"), "package p\nallow if data.a.b.k == data.a.n")
	write(t, filepath.Join(dir, "a", "b", "data.yaml"), "k: 1")
	write(t, filepath.Join(dir, "a", "other.json"), `{"n": 1}`)
	g, err := Compile(context.Background(), &Config{Paths: []string{dir}, Entrypoint: "p/allow"})
	if err != nil {
		t.Fatal(err)
	}
	if !evaluate(t, g, "{}").Verdict.Allowed {
		t.Error("data is not where it should be")
	}
}

func TestConfigValidate(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		c := DefaultConfig()
		c.Paths = []string{"x"}
		change(&c)
		if err := c.Validate(); want == "" && err != nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f(func(*Config) {}, "")
	f(func(c *Config) { c.Paths = nil }, "paths: name a .rego file")
	f(func(c *Config) { c.PollInterval = 0 }, "poll_interval: must be positive")
	f(func(c *Config) { c.Entrypoint = "a//b" }, "entrypoint: ")
	f(func(c *Config) { c.Entrypoints = map[string]string{"n": ""} }, "entrypoints.n: ")
	f(func(c *Config) { c.Builtins = []string{"http.send"} }, "allow_builtins: ")
	f(func(c *Config) { c.HTTPSend.Hosts = []string{"https://x"} }, "http_send.hosts: ")
}
