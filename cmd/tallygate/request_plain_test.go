package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy/opa"
)

// TestPlainRequests: tallygate.request of the Rego library builds what the lens
// shows of the same request. The id and the time are Envoy's.
func TestPlainRequests(t *testing.T) {
	plain := []string{
		`{}`,
		`{"method": "PUT", "path": "/a%20b//c+d/?x=1&x=2&y=&z", "host": "shop", "headers": {"X-User": "ann"}}`,
		`{"path": "/users/7?q=a%2Bb+c", "principal": "spiffe://td/ns/a/sa/b", "destination_principal": "spiffe://td/ns/c/sa/d"}`,
		`{"source": "10.1.2.3", "destination": "[fd00::1]:443", "context": {"tallygate.entrypoint": "admin"}}`,
		`{"source": "fd00::2", "body": {"amount": 7, "list": [1, "two", null]}}`,
		`{"body": "{\"a\": 1.5}", "headers": {"Content-Type": "application/json; charset=utf-8"}}`,
		`{"body": "a=1&b=2&b=3", "headers": {"content-type": "application/x-www-form-urlencoded"}}`,
		`{"body": "plain"}`,
		`{"tcp": true, "principal": "spiffe://td/x"}`,
	}
	var module strings.Builder
	module.WriteString("package p_test\nimport data.tallygate\n")
	for i, p := range plain {
		in, err := parseRequest([]byte(p))
		if i == 0 {
			f, flagsErr := (&plainRequest{}).flags()
			if flagsErr != nil {
				t.Fatal(flagsErr)
			}
			in, err = f.lens(startOfTime)
		}
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		want, err := json.Marshal(jsonOf(t, in))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&module, `
test_%d if {
	want := json.remove(%s, ["attributes/request/time"])
	got := tallygate.request(%s)
	print(json.patch(got, []), want)
	got == want
}
`, i, want, p)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p_test.rego"), []byte(module.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "p.rego"), []byte("package p\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := opa.Test(t.Context(), &opa.Config{Paths: []string{dir}}, opa.TestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range r.Tests {
		if !one.Passed {
			t.Errorf("%s: %s %s", one.Name, one.Err, one.Output)
		}
	}
	if len(r.Tests) != len(plain) {
		t.Errorf("%d tests", len(r.Tests))
	}
}

func TestParseRequest(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := parseRequest([]byte(text))
		if want == "" && err != nil || want != "" && !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	f(`{"path": "/"}`, "")
	f(`{"attributes": {}}`, "")
	f(`{"parsed_path": ["a"], "path": 7}`, "")
	f(`{}`, "")
	f(`{"pth": "/"}`, `unknown field "pth"`)
	f(`{"path": "/", "attributes": {}, "pth": 1}`, "")
	f(`{"path": 7}`, "neither a plain request")
	f(`{"path": "/%zz"}`, "the path of the request")
	f(`{"source": "::1:x:y"}`, "")
	f(`{"path":`, "reading the input")
	f(`[]`, "")
}

func TestRouteOf(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		if got := routeOf(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	f("/", "/")
	f("/orders/7?x=1", "/orders/{}")
	f("/api/v1/users/6f1d7c1e-8a0b/orders", "/api/v1/users/{}/orders")
	f("/api/v2beta1/x", "/api/v2beta1/x")
	f("/a/"+strings.Repeat("x", 33), "/a/{}")
	f("", "")
}

var startOfTime = time.Unix(1_700_000_000, 0)

// jsonOf is the whole input of r.
func jsonOf(t *testing.T, r mesh.Request) any {
	t.Helper()
	v, ok := r.Lookup(nil)
	if !ok {
		t.Fatal("there is no input")
	}
	return anyOf(v)
}

func anyOf(v mesh.Value) any {
	switch v.Kind {
	case mesh.KindBool:
		return v.Bool
	case mesh.KindNumber:
		return json.Number(v.Text)
	case mesh.KindString:
		return v.Text
	case mesh.KindArray:
		list := []any{}
		for _, e := range v.Elems {
			list = append(list, anyOf(e))
		}
		return list
	case mesh.KindObject:
		m := map[string]any{}
		for _, f := range v.Fields {
			m[f.Name] = anyOf(f.Value)
		}
		return m
	}
	return nil
}
