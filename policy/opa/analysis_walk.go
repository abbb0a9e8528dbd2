package opa

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

func (a *analysis) body(s *scope, b ast.Body) {
	for _, e := range b {
		a.expr(s, e)
	}
}

func (a *analysis) expr(s *scope, e *ast.Expr) {
	defer func(at where) { a.at = at }(a.at)
	if e.Location != nil {
		a.at.move(e.Location)
	}
	for _, w := range e.With {
		a.term(s, w.Value)
		if ref, ok := w.Value.Value.(ast.Ref); ok && len(ref) > 0 && !ref[0].Equal(ast.DefaultRootDocument) {
			if _, ok := ast.BuiltinMap[ref.String()]; ok {
				a.builtin(ref.String())
			}
		}
		if ref, ok := w.Target.Value.(ast.Ref); ok {
			for _, t := range ref[1:] {
				a.term(s, t)
			}
		}
	}
	switch t := e.Terms.(type) {
	case *ast.Term:
		a.term(s, t)
	case []*ast.Term:
		if b := bindingOf(e); b != nil && s.bound(b) {
			a.passOn(s, b.ref)
			return
		}
		a.call(s, t, len(e.With) > 0)
	case *ast.Every:
		a.term(s, t.Domain)
		if t.Key != nil {
			a.term(s, t.Key)
		}
		a.term(s, t.Value)
		a.body(s, t.Body)
	case *ast.Not:
		a.body(s, t.Body)
	case *ast.LogicalAnd:
		a.body(s, t.Lhs)
		a.body(s, t.Rhs)
	case *ast.LogicalOr:
		a.body(s, t.Lhs)
		a.body(s, t.Rhs)
	case *ast.SomeDecl:
		for _, sym := range t.Symbols {
			a.term(s, sym)
		}
	default:
		a.readValue(origin{}) // nothing that this version of OPA has
	}
}

// passOn handles a reference whose value goes to somewhere that is followed.
func (a *analysis) passOn(s *scope, ref ast.Ref) origins {
	o, exact := a.resolve(s, ref, nil)
	a.elements(s, ref)
	if !exact {
		a.readAll(o)
		return nil
	}
	for _, p := range o {
		if len(p.path) > 0 {
			a.readKind(p)
		}
	}
	return o
}

// elements visits what is computed within a reference.
func (a *analysis) elements(s *scope, ref ast.Ref) {
	if _, ok := ref[0].Value.(ast.Var); !ok {
		a.term(s, ref[0])
	}
	for _, t := range ref[1:] {
		a.term(s, t)
	}
}

// term reads a term in full.
func (a *analysis) term(s *scope, t *ast.Term) {
	switch v := t.Value.(type) {
	case ast.Null, ast.Boolean, ast.Number, ast.String:
	case ast.Var:
		if t.Equal(ast.InputRootDocument) {
			a.readValue(origin{})
			return
		}
		a.readAll(a.alias(s, v, nil))
	case ast.Ref:
		o, _ := a.resolve(s, v, nil)
		a.readAll(o)
		a.elements(s, v)
	case *ast.Array:
		v.Foreach(func(t *ast.Term) { a.term(s, t) })
	case ast.Set:
		v.Foreach(func(t *ast.Term) { a.term(s, t) })
	case ast.Object:
		v.Foreach(func(k, t *ast.Term) { a.term(s, k); a.term(s, t) })
	case *ast.ArrayComprehension:
		a.term(s, v.Term)
		a.body(s, v.Body)
	case *ast.SetComprehension:
		a.term(s, v.Term)
		a.body(s, v.Body)
	case *ast.ObjectComprehension:
		a.term(s, v.Key)
		a.term(s, v.Value)
		a.body(s, v.Body)
	case ast.Call:
		a.call(s, v, true)
	default:
		a.readValue(origin{}) // nothing that this version of OPA has
	}
}

// data handles a reference to data: it visits every rule that the reference may
// reach. If pass is true and it reaches one complete rule that passes a value
// on, it gives where that comes from; else all values are read in full.
func (a *analysis) data(s *scope, ref ast.Ref, pass bool) (o origins, exact bool) {
	n := a.c.RuleTree.Child(ref[0].Value)
	for i := 1; n != nil; i++ {
		last := i == len(ref)
		if pass && len(n.Values) > 0 && len(n.Children) == 0 && complete(n.Values) {
			for _, r := range n.Values {
				for ; r != nil; r = r.Else {
					o = o.add(a.returned(r))
				}
			}
			return o.extend(ref[i:])
		}
		for _, r := range n.Values {
			a.full(r)
		}
		if last || !isString(ref[i]) { // other keys have several spellings
			for _, child := range n.Children {
				child.DepthFirst(func(n *ast.TreeNode) bool {
					for _, r := range n.Values {
						a.full(r)
					}
					return false
				})
			}
			break
		}
		n = n.Child(ref[i].Value)
	}
	return nil, true
}

func isString(t *ast.Term) bool {
	_, ok := t.Value.(ast.String)
	return ok
}

// complete reports whether rules make one document whose value is that of one
// of them, with nothing to compare: a default and one rule with its else.
func complete(rules []*ast.Rule) bool {
	n := 0
	for _, r := range rules {
		if len(r.Head.Args) > 0 || r.Head.RuleKind() != ast.SingleValue || !r.Head.Ref().IsGround() || r.Head.Key != nil {
			return false
		}
		if !r.Default {
			n++
		}
	}
	return n <= 1
}

// call handles a call of a function, built in or not. opaque is true where the
// arguments must not be followed.
func (a *analysis) call(s *scope, terms []*ast.Term, opaque bool) {
	op, ok := terms[0].Value.(ast.Ref)
	if !ok || len(op) == 0 {
		a.readValue(origin{})
		return
	}
	args := terms[1:]
	switch {
	case op[0].Equal(ast.DefaultRootDocument):
		args = a.function(s, op, args, opaque || a.mocked)
	case op[0].Equal(ast.InputRootDocument):
		a.readValue(origin{})
	default:
		name := op.String()
		a.builtin(name)
		if name == "object.get" && !opaque && !a.mocked {
			args = a.objectGet(s, args)
		}
	}
	for _, t := range args {
		a.term(s, t)
	}
}

// function visits the functions at op and hands on what can be followed; it
// returns the other arguments.
func (a *analysis) function(s *scope, op ast.Ref, args []*ast.Term, opaque bool) []*ast.Term {
	var rules []*ast.Rule
	for _, r := range a.c.GetRulesExact(op) {
		for ; r != nil; r = r.Else {
			rules = append(rules, r)
		}
	}
	var rest []*ast.Term
	for i, t := range args {
		o := a.argument(s, t, opaque)
		if o == nil || !passes(rules, i) {
			rest = append(rest, t)
			continue
		}
		for _, r := range rules {
			p := r.Head.Args[i]
			for key, from := range o {
				if _, known := a.params[p][key]; !known {
					if a.at.library == nil {
						from.own = a.at.own
					}
					a.params[p] = a.params[p].add(origins{key: from})
					a.changed = true
				}
			}
		}
	}
	for _, r := range rules {
		a.full0(r)
	}
	return rest
}

// full0 visits one rule, without its else, and reads its value in full.
func (a *analysis) full0(r *ast.Rule) {
	o := a.returned(r)
	defer func(at where) { a.at = at }(a.at)
	a.at.move(r.Location)
	a.readAll(o)
}

// argument gives where an argument comes from if it can be followed, else nil.
func (a *analysis) argument(s *scope, t *ast.Term, opaque bool) origins {
	if opaque {
		return nil
	}
	switch v := t.Value.(type) {
	case ast.Var:
		if o := a.alias(s, v, nil); len(o) > 0 {
			return o
		}
	case ast.Ref:
		if o := a.passOn(s, v); len(o) > 0 {
			return o
		}
	}
	return nil
}

// passes reports whether argument i of all rules is a variable of its own.
func passes(rules []*ast.Rule, i int) bool {
	for _, r := range rules {
		if i >= len(r.Head.Args) || !isVar(r.Head.Args[i]) {
			return false
		}
		for j, t := range r.Head.Args {
			if j != i && contains(t, r.Head.Args[i].Value.(ast.Var)) {
				return false
			}
		}
	}
	return len(rules) > 0
}

// objectGet handles object.get(object, key or path, default): it reads below
// the object along constant keys. It returns the arguments left to read.
func (a *analysis) objectGet(s *scope, args []*ast.Term) []*ast.Term {
	if len(args) < 2 {
		return args
	}
	names := constantKeys(args[1])
	if len(names) == 0 {
		return args
	}
	o := a.argument(s, args[0], false)
	if o == nil {
		return args
	}
	for _, p := range o { // whose kind was read where it was passed on
		a.readValue(origin{join(p.path, names...), p.own})
	}
	return args[2:]
}

func constantKeys(t *ast.Term) []string {
	switch v := t.Value.(type) {
	case ast.String:
		return []string{string(v)}
	case *ast.Array:
		var names []string
		for i := range v.Len() {
			name, ok := v.Elem(i).Value.(ast.String)
			if !ok {
				return nil
			}
			names = append(names, string(name))
		}
		return names
	}
	return nil
}
