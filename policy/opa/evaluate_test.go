package opa

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

func evaluate(t testing.TB, g *Generation, input string) *Result {
	t.Helper()
	res, err := g.Evaluate(context.Background(), "", newRequest(t, input))
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestEvaluate(t *testing.T) {
	f := func(module, input string, want mesh.Verdict) {
		t.Helper()
		got := evaluate(t, compile(t, "package p\n"+module), input).Verdict
		want.GenerationVersion = got.GenerationVersion
		if !reflect.DeepEqual(got, &want) {
			t.Errorf("%s\n%s:\ngot  %+v\nwant %+v", module, input, got, &want)
		}
	}
	f(`allow if input.a == 1`, `{"a": 1}`, mesh.Verdict{Allowed: true, Rule: "p.allow:2"})
	f(`allow if input.a == 1`, `{"a": 2}`, mesh.Verdict{Reason: "undefined: no rule of data.p.allow applies", Rule: "p.allow"})
	f("default allow := false\nallow if input.a == 1\nallow if input.b\nallow if input.c", `{"b": true}`, mesh.Verdict{Allowed: true, Rule: "p.allow:4"})
	f("default allow := false\nallow if input.a == 1\nallow if input.b\nallow if input.c", `{}`, mesh.Verdict{Rule: "p.allow:2"})
	f("allow if { input.a } else := false if { input.b } else := true", `{"a": false, "b": 1}`, mesh.Verdict{Rule: "p.allow:2"})
	f(`allow := {"allowed": true, "headers": {"b": ["1", "2"], "a": input.x}} if input.x
allow := {"allowed": false, "body": input.y} if input.y`, `{"y": "no"}`, mesh.Verdict{Body: "no", Rule: "p.allow:3"})
	f(`allow := {
	"allowed": false,
	"headers": {"b": ["1", "2"], "a": "3"},
	"response_headers_to_add": {"c": "4"},
	"request_headers_to_remove": ["d", "e"],
	"query_parameters_to_set": {"f": ["5", "6"]},
	"query_parameters_to_remove": ["g"],
	"body": "stop",
	"http_status": 429,
	"dynamic_metadata": {"h": {"i": [1, true, null]}},
	"reason": "because",
	"unknown": 1,
}`, `{}`, mesh.Verdict{
		Headers:         []mesh.Header{{Name: "a", Value: "3"}, {Name: "b", Value: "1"}, {Name: "b", Value: "2"}},
		ResponseHeaders: []mesh.Header{{Name: "c", Value: "4"}},
		HeadersToRemove: []string{"d", "e"},
		QueryToSet:      []mesh.Header{{Name: "f", Value: "5"}, {Name: "f", Value: "6"}},
		QueryToRemove:   []string{"g"},
		Body:            "stop", Status: 429, Reason: "because", Rule: "p.allow:2",
		Metadata: map[string]any{"h": map[string]any{"i": []any{jsonNumber("1"), true, nil}}},
	})
}

func TestEvaluateRefused(t *testing.T) {
	f := func(result, want string) {
		t.Helper()
		g := compile(t, "package p\n\nallow := "+result)
		_, err := g.Evaluate(context.Background(), "", newRequest(t, "{}"))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "p.rego:3: the result of data.p.allow") {
			t.Errorf("%s: got %v, want %q", result, err, want)
		}
	}
	f(`"yes"`, `is a value of type string; it must be a boolean or an object`)
	f(`{"allow": true}`, `has no key "allowed"`)
	f(`{"allowed": "true"}`, `allowed: is a value of type string, not a boolean`)
	f(`{"allowed": true, "headers": {"a": 1}}`, `headers: "a" is a value of type number, not a string`)
	f(`{"allowed": true, "headers": {"a": ["1", 2]}}`, `headers: a value of "a" is a value of type number`)
	f(`{"allowed": true, "http_status": 42}`, `http_status: is 42, not an HTTP status`)
	f(`{"allowed": true, "request_headers_to_remove": "x"}`, `request_headers_to_remove: is a value of type string`)
	f(`{"allowed": true, "dynamic_metadata": []}`, `dynamic_metadata: is a value of type array`)
	f(`{"allowed": true, "cache": {"ttl": 5}}`, `cache: ttl is 5, not a duration`)
	f(`{"allowed": true, "cache": {"tll": "5s"}}`, `cache: unknown key "tll"`)
}

func TestHints(t *testing.T) {
	f := func(module string, want CacheHint) {
		t.Helper()
		if got := evaluate(t, compile(t, "package p\n"+module), "{}").Cache; got != want {
			t.Errorf("%s: got %+v, want %+v", module, got, want)
		}
	}
	annotated := "# METADATA\n# custom:\n#   tallygate: {cache: {ttl: 30s}}\n"
	f(`allow := true`, CacheHint{})
	f(`allow := {"allowed": true, "cache": {"ttl": "3s"}}`, CacheHint{Opinion: true, HasTTL: true, TTL: 3 * time.Second})
	f(`allow := {"allowed": true, "cache": {"no_store": true}}`, CacheHint{Opinion: true, NoStore: true})
	f(`allow := {"allowed": true, "cache": {"not_after": 1700000000}}`, CacheHint{Opinion: true, NotAfter: time.Unix(1700000000, 0)})
	f(annotated+`allow := true`, CacheHint{Opinion: true, HasTTL: true, TTL: 30 * time.Second})
	f(annotated+`allow := {"allowed": true, "cache": {"ttl": "3s"}}`, CacheHint{Opinion: true, HasTTL: true, TTL: 3 * time.Second})
	f(annotated+`allow := {"allowed": true, "cache": {"ttl": "300s"}}`, CacheHint{Opinion: true, HasTTL: true, TTL: 30 * time.Second})
}

func TestBuildsOnlyTheShape(t *testing.T) {
	g := compile(t, "package p\nallow if { h := input.a; h.b == 1 }")
	r := newRequest(t, `{"a": {"b": 1, "c": 2}, "d": 3}`)
	res, err := g.Evaluate(context.Background(), "", r)
	if err != nil || !res.Verdict.Allowed || r.whole || r.lookups != 1 {
		t.Errorf("got %+v, %v, %d lookups", res, err, r.lookups)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	g := compile(t, `package p
allow if {
	some i in numbers.range(1, 100000)
	some j in numbers.range(1, 100000)
	i * j == -1
}`)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := g.Evaluate(ctx, "", newRequest(t, "{}"))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("took %v", d)
	}
}

// Patterns that come from requests must not pile up.
func TestBuiltinCachesAreBounded(t *testing.T) {
	g := compile(t, `package p
allow if regex.match(input.pattern, "x")`)
	var before, after runtime.MemStats
	evaluateMany := func(from, to int) {
		for n := from; n < to; n++ {
			r := &request{input: map[string]any{"pattern": fmt.Sprintf("a%d", n)}}
			if _, err := g.Evaluate(context.Background(), "", r); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
	}
	evaluateMany(0, 11_000)
	runtime.ReadMemStats(&before)
	evaluateMany(11_000, 22_000)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("grew by %d bytes", grown)
	}
}

func TestEntrypoints(t *testing.T) {
	cfg := Config{Entrypoint: "p/allow", Entrypoints: map[string]string{"admin": "data.p.admin"}}
	g := compileWith(t, cfg, "package p\nallow if true\nadmin if false", nil)
	res, err := g.Evaluate(context.Background(), "admin", newRequest(t, "{}"))
	if err != nil || res.Verdict.Allowed || res.Defined {
		t.Errorf("got %+v, %v", res, err)
	}
	if _, err := g.Evaluate(context.Background(), "other", newRequest(t, "{}")); !errors.Is(err, ErrNoEntrypoint) {
		t.Errorf("got %v", err)
	}
}
