package opa

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
)

// looksUp reports whether compiled modules do no more with the object at path
// than to look members up whose names are known when it comes to that; if not,
// it names a place. If it is wrong about a rule, that rule's first evaluation
// takes long; no answer depends on it.
func looksUp(modules map[string]*ast.Module, path storage.Path) (ok bool, at *ast.Location) {
	l := lookups{path: path}
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		for _, r := range modules[name].Rules {
			for ; r != nil; r = r.Else {
				l.rule(r)
			}
		}
	}
	return !l.whole, l.at
}

type lookups struct {
	path  storage.Path
	whole bool          // something else was found
	at    *ast.Location // there
}

func (l *lookups) found(at *ast.Location) {
	if !l.whole {
		l.whole, l.at = true, at
	}
}

func (l *lookups) rule(r *ast.Rule) {
	bound := ast.NewVarSet()
	for _, a := range r.Head.Args {
		bound.Update(a.Vars())
	}
	bound = l.body(r.Body, bound)
	for _, t := range append(slices.Clip(r.Head.Reference), r.Head.Key, r.Head.Value) {
		if t != nil {
			l.node(t, bound)
		}
	}
}

// body looks at expressions in the order of their evaluation, which is that of
// the compiler, and returns what is bound after them.
func (l *lookups) body(b ast.Body, outside ast.VarSet) ast.VarSet {
	bound := outside.Copy()
	for _, e := range b {
		l.node(e, bound)
		bound.Update(e.Vars(ast.VarVisitorParams{SkipClosures: true, SkipRefCallHead: true}))
	}
	return bound
}

// node looks at everything within n.
func (l *lookups) node(n any, bound ast.VarSet) {
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Ref:
			l.ref(x, bound)
		case *ast.With:
			if r, ok := x.Target.Value.(ast.Ref); ok && l.overlaps(r) {
				l.found(x.Target.Location)
			}
		case *ast.ArrayComprehension:
			l.node(x.Term, l.body(x.Body, bound))
			return true
		case *ast.SetComprehension:
			l.node(x.Term, l.body(x.Body, bound))
			return true
		case *ast.ObjectComprehension:
			within := l.body(x.Body, bound)
			l.node(x.Key, within)
			l.node(x.Value, within)
			return true
		case *ast.Every:
			l.node(x.Domain, bound)
			within := bound.Copy()
			within.Update(x.KeyValueVars())
			l.body(x.Body, within)
			return true
		}
		return false
	}).Walk(n)
}

func (l *lookups) ref(r ast.Ref, bound ast.VarSet) {
	if !l.overlaps(r) {
		return
	}
	at := 1 + len(l.path)
	if len(r) > at {
		switch name := r[at].Value.(type) {
		case ast.String:
			return
		case ast.Var:
			if bound.Contains(name) {
				return
			}
		}
	}
	l.found(r[0].Location)
}

// overlaps reports whether r may reach into the object.
func (l *lookups) overlaps(r ast.Ref) bool {
	if !r.HasPrefix(ast.DefaultRootRef) {
		return false
	}
	for i, t := range r[1:min(len(r), 1+len(l.path))] {
		if name, constant := t.Value.(ast.String); constant && string(name) != l.path[i] {
			return false
		}
	}
	return true
}
