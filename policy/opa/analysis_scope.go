package opa

import "github.com/open-policy-agent/opa/v1/ast"

// scope is what is known about the variables of one rule. Variables of nested
// bodies count to it too: a name that two of them use is taken for one variable
// with two bindings, hence for no alias.
type scope struct {
	params   map[ast.Var]*ast.Term // head arguments
	bindings map[ast.Var][]*binding
}

// binding is an equation that may bind a variable to what a reference leads to.
type binding struct {
	v   ast.Var
	ref ast.Ref // nil if the other side is something else
	e   *ast.Expr
}

func newScope(r *ast.Rule) *scope {
	s := &scope{params: map[ast.Var]*ast.Term{}, bindings: map[ast.Var][]*binding{}}
	for _, t := range r.Head.Args {
		if v, ok := t.Value.(ast.Var); ok {
			s.params[v] = t
		}
	}
	note := func(e *ast.Expr) bool {
		terms, ok := e.Terms.([]*ast.Term)
		if !ok || len(terms) != 3 || !isEquation(terms[0]) {
			return false
		}
		if b := bindingOf(e); b != nil {
			s.bindings[b.v] = append(s.bindings[b.v], b)
			return false
		}
		for _, t := range terms[1:] {
			if v, ok := t.Value.(ast.Var); ok {
				s.bindings[v] = append(s.bindings[v], &binding{v: v})
			}
		}
		return false
	}
	ast.WalkExprs(r.Head, note)
	ast.WalkExprs(r.Body, note)
	return s
}

// bound reports whether b is what makes its variable an alias.
func (s *scope) bound(b *binding) bool {
	if _, param := s.params[b.v]; param {
		return false
	}
	all := s.bindings[b.v]
	return len(all) == 1 && all[0].ref != nil && all[0].e == b.e
}

// bindingOf reads e as `variable = reference`, or nil.
func bindingOf(e *ast.Expr) *binding {
	terms, ok := e.Terms.([]*ast.Term)
	if !ok || len(terms) != 3 || e.Negated || len(e.With) > 0 || !isEquation(terms[0]) {
		return nil
	}
	x, y := terms[1], terms[2]
	if !isVar(x) {
		x, y = y, x
	}
	v, ok := x.Value.(ast.Var)
	ref, isRef := y.Value.(ast.Ref)
	if !ok || !isRef || len(ref) == 0 {
		return nil
	}
	return &binding{v: v, ref: ref, e: e}
}

func isEquation(op *ast.Term) bool {
	ref, ok := op.Value.(ast.Ref)
	if !ok {
		return false
	}
	switch ref.String() {
	case ast.Equality.Name, ast.Assign.Name:
		return true
	}
	return false
}

// isVar reports whether t is a variable other than input and data.
func isVar(t *ast.Term) bool {
	_, ok := t.Value.(ast.Var)
	return ok && !t.Equal(ast.InputRootDocument) && !t.Equal(ast.DefaultRootDocument)
}

// contains reports whether v occurs in t.
func contains(t *ast.Term, v ast.Var) bool {
	found := false
	ast.WalkVars(t, func(w ast.Var) bool {
		found = found || w == v
		return found
	})
	return found
}
