package opa

import (
	"cmp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
)

// Missing is a reference to something below data that is neither loaded data
// nor a rule: what needs it is undefined.
type Missing struct {
	File string
	Line int
	Name string // as far as it goes wrong, as "data.isuer"
}

// Missing returns the references to nothing, in the order of the files. Those
// behind a `not` are left out, as are names that a `with` replaces: there it may
// be meant. Data that only comes at run time is missing too.
func (g *Generation) Missing() []Missing {
	w := missingWalk{g: g}
	for _, m := range g.compiler.Modules {
		ast.WalkWiths(m, func(with *ast.With) bool {
			if ref, ok := with.Target.Value.(ast.Ref); ok {
				w.replaced = append(w.replaced, ref)
			}
			return false
		})
	}
	for name, m := range g.compiler.Modules {
		if isLibraryFile(name) || strings.HasSuffix(name, "_test.rego") {
			continue
		}
		for _, r := range m.Rules {
			w.at = r.Location
			w.walk(r)
		}
	}
	slices.SortFunc(w.found, func(a, b Missing) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Name, b.Name))
	})
	return slices.Compact(w.found)
}

type missingWalk struct {
	g        *Generation
	replaced []ast.Ref
	at       *ast.Location // of the expression
	found    []Missing
}

func (w *missingWalk) walk(x any) {
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			if x.Location != nil {
				w.at = x.Location
			}
			return x.Negated
		case *ast.With:
			w.walk(x.Value)
			return true
		case *ast.Term:
			if ref, ok := x.Value.(ast.Ref); ok {
				at := x.Location
				if at == nil { // as the compiler makes them of `some x in data.y`
					at = w.at
				}
				w.reference(ref, at)
			}
		}
		return false
	}).Walk(x)
}

// reference looks for the constant beginning of ref among rules and data.
func (w *missingWalk) reference(ref ast.Ref, at *ast.Location) {
	if !ref[0].Equal(ast.DefaultRootDocument) || at == nil || slices.ContainsFunc(w.replaced, func(r ast.Ref) bool {
		return ref.HasPrefix(r) || r.HasPrefix(ref)
	}) {
		return
	}
	rules := w.g.compiler.RuleTree.Child(ref[0].Value)
	var path storage.Path
	for i, t := range ref[1:] {
		s, constant := t.Value.(ast.String)
		if !constant || i == 0 && s == "system" { // where OPA keeps its own
			return
		}
		if rules != nil {
			for key := range rules.Children {
				if _, constant := key.(ast.String); !constant {
					return
				}
			}
			rules = rules.Child(t.Value)
		}
		if rules != nil && len(rules.Values) > 0 {
			return // what a rule gives is known when it is evaluated
		}
		path = append(path, string(s))
		if rules != nil {
			continue
		}
		if !w.g.store.has(path) {
			w.found = append(w.found, Missing{File: at.File, Line: at.Row, Name: ref[:i+2].String()})
			return
		}
	}
}
