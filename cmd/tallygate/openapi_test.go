package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/internal/api"
	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/policy"
)

// openAPI is as much of the description as the test reads.
type openAPI struct {
	Paths map[string]map[string]struct {
		Security  *[]any
		Responses map[string]struct {
			Content map[string]struct{ Schema map[string]any }
		}
	}
	Components struct{ Schemas map[string]map[string]any }
}

// Every route is described, and nothing else is; and what a route answers has the
// fields of its description.
func TestOpenAPI(t *testing.T) {
	var doc openAPI
	if err := json.Unmarshal(api.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	p := startProc(t, "policy: {paths: [\"builtin:permissive\"]}\n")
	var served, described []string
	for _, pattern := range p.daemon.admin.Patterns() {
		served = append(served, strings.TrimSuffix(pattern, "{$}"))
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(described)
	for _, s := range served {
		if !slices.Contains(described, s) {
			t.Errorf("%s is served and not described: add it to internal/api/gen/routes.go", s)
		}
	}
	for _, d := range described {
		if !slices.Contains(served, d) {
			t.Errorf("%s is described and not served", d)
		}
	}

	checks := p.checks(t)
	report(t, p, 200, 503, 403)
	var failed fleet.Entries
	var decisions []policy.Record
	p.until("there is something to show", func() bool {
		allows(t, checks, "alice") // it fails as long as no policy is active
		_, entries := p.get(p.adminURL("/api/v1/errors"))
		_, log := p.get(p.adminURL("/api/v1/decisions"))
		_, edges := p.get(p.adminURL("/api/v1/edges"))
		return json.Unmarshal([]byte(entries), &failed) == nil && len(failed.Entries) == 2 &&
			json.Unmarshal([]byte(log), &decisions) == nil && len(decisions) > 0 && decisions[0].ID != "" && strings.Contains(edges, `"requests":3`)
	})
	queries := map[string]string{
		"/api/v1/stat": "?by=from,code", "/api/v1/history": "?by=edge", "/api/v1/quotas/top": "?n=5&by=used",
		"/api/v1/quotas/key": "?quota=q", "/api/v1/quotas/explain": "?quota=q",
		"/api/v1/entries/{id}": failed.Entries[0].ID, "/api/v1/decisions/{id}": decisions[0].ID,
		"/api/v1/traces/{id}": "4bf92f3577b34da6a3ce929d0e0e4736",
	}
	for path, methods := range doc.Paths {
		op, ok := methods["get"]
		if !ok || strings.HasPrefix(path, "/debug/pprof") {
			continue
		}
		url := p.adminURL(strings.TrimSuffix(path, "{id}") + queries[path])
		if resp, err := http.Get(url); err != nil {
			t.Error(err)
		} else {
			resp.Body.Close()
			if open := op.Security != nil; open != (resp.StatusCode != 401) {
				t.Errorf("%s without a token: %d, although it is described as open: %v", path, resp.StatusCode, open)
			}
		}
		content, ok := op.Responses["200"].Content["application/json"]
		if !ok {
			continue
		}
		code, body := p.get(url)
		var v any
		if err := json.Unmarshal([]byte(body), &v); code != 200 || err != nil {
			t.Errorf("%s: %d %v %s", path, code, err, body)
			continue
		}
		for _, problem := range doc.check(content.Schema, v, path) {
			t.Error(problem)
		}
	}
}

// check says what of v is not as schema has it.
func (d *openAPI) check(schema map[string]any, v any, at string) (problems []string) {
	if ref, ok := schema["$ref"].(string); ok {
		return d.check(d.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")], v, at)
	}
	if either, ok := schema["anyOf"].([]any); ok {
		if v == nil {
			return nil
		}
		return d.check(either[0].(map[string]any), v, at)
	}
	types := fmt.Sprint(schema["type"])
	bad := func(is string) []string { return []string{fmt.Sprintf("%s is %s; want %s", at, is, types)} }
	switch v := v.(type) {
	case nil:
		if schema["type"] != nil && !strings.Contains(types, "null") {
			return bad("null")
		}
	case string:
		if schema["type"] != nil && types != "string" {
			return bad("a string")
		}
	case float64:
		if schema["type"] != nil && types != "number" && types != "integer" {
			return bad("a number")
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, x := range v {
			problems = append(problems, d.check(items, x, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case map[string]any:
		properties, closed := schema["properties"].(map[string]any)
		for name, x := range v {
			p, ok := properties[name].(map[string]any)
			if !ok && closed {
				problems = append(problems, fmt.Sprintf("%s.%s is not described", at, name))
			}
			if ok {
				problems = append(problems, d.check(p, x, at+"."+name)...)
			}
		}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				problems = append(problems, fmt.Sprintf("%s lacks %s", at, name))
			}
		}
	}
	return problems
}
