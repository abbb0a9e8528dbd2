package opa

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
	"github.com/tallygate/tallygate/mesh"
)

// request is a mesh.Request over JSON that counts what is asked of it.
type request struct {
	input   any
	lookups int
	whole   bool
}

func newRequest(t testing.TB, text string) *request {
	t.Helper()
	var v any
	if err := util.UnmarshalJSON([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return &request{input: v}
}

func (r *request) find(p mesh.Path) (any, bool) {
	v := r.input
	for _, name := range p {
		switch x := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = x[name]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(x) || strconv.Itoa(i) != name {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func (r *request) Lookup(p mesh.Path) (mesh.Value, bool) {
	r.lookups++
	r.whole = r.whole || len(p) == 0
	v, ok := r.find(p)
	if !ok {
		return mesh.Value{}, false
	}
	return valueOf(v), true
}

func (r *request) Probe(p mesh.Path) (mesh.Kind, bool) {
	v, ok := r.find(p)
	if !ok {
		return 0, false
	}
	return valueOf(v).Kind, true
}

func valueOf(v any) mesh.Value {
	switch v := v.(type) {
	case bool:
		return mesh.Value{Kind: mesh.KindBool, Bool: v}
	case json.Number:
		return mesh.Value{Kind: mesh.KindNumber, Text: v.String()}
	case string:
		return mesh.Value{Kind: mesh.KindString, Text: v}
	case []any:
		out := mesh.Value{Kind: mesh.KindArray}
		for _, e := range v {
			out.Elems = append(out.Elems, valueOf(e))
		}
		return out
	case map[string]any:
		out := mesh.Value{Kind: mesh.KindObject}
		for k, e := range v {
			out.Fields = append(out.Fields, mesh.Field{Name: k, Value: valueOf(e)})
		}
		slices.SortFunc(out.Fields, func(a, b mesh.Field) int { return strings.Compare(a.Name, b.Name) })
		return out
	}
	return mesh.Value{}
}

// object returns m as OPA's value.
func object(m map[string]any) ast.Object { return ast.MustInterfaceToValue(m).(ast.Object) }

// compile makes a generation of one module, whose entrypoint is p.allow.
func compile(t testing.TB, module string) *Generation {
	t.Helper()
	return compileWith(t, Config{Entrypoint: "p/allow"}, module, nil)
}

func compileWith(t testing.TB, cfg Config, module string, data map[string]any) *Generation {
	t.Helper()
	g, err := CompileSources(context.Background(), &cfg, &Sources{Modules: map[string]string{"p.rego": module}, Data: object(data)})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func jsonNumber(s string) json.Number { return json.Number(s) }
