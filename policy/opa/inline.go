package opa

import "github.com/open-policy-agent/opa/v1/ast"

// inlineAliases replaces references through rules that only name a part of the
// input, as in
//
//	http := input.attributes.request.http
//	allow if http.method == "GET"
//
// by references into the input. They mean the same: where the part is missing
// both are undefined, and `with input` changes both. OPA can then index the rules
// by the values compared with, and finds the value without evaluating a rule each
// time. Which of several conflicting values of a rule come to light may change, as it
// does with OPA's index. Policies that replace anything of data by `with` are left as they are.
func inlineAliases(c *ast.Compiler) *ast.Error {
	if replacesData(c) {
		return nil
	}
	// An alias of an alias is found once that is replaced.
	aliases := map[*ast.Rule]ast.Ref{}
	for known := -1; len(aliases) > known; {
		known = len(aliases)
		for _, m := range c.Modules {
			for _, r := range m.Rules {
				if to := aliasOf(c, r); to != nil {
					aliases[r] = to
				}
			}
		}
		if len(aliases) > known {
			inlineAll(c, aliases)
		}
	}
	return nil
}

func inlineAll(c *ast.Compiler, aliases map[*ast.Rule]ast.Ref) {
	for _, m := range c.Modules {
		for _, r := range m.Rules {
			ast.WalkRules(r, func(r *ast.Rule) bool {
				for _, e := range r.Body {
					inlineExpr(c, e, aliases)
				}
				return false
			})
		}
	}
}

func replacesData(c *ast.Compiler) bool {
	found := false
	for _, m := range c.Modules {
		ast.WalkWiths(m, func(w *ast.With) bool {
			ref, ok := w.Target.Value.(ast.Ref)
			found = found || !ok || !ref.HasPrefix(ast.InputRootRef)
			return found
		})
	}
	return found
}

// aliasOf returns the ground reference into the input whose value is that of r,
// which must be the only rule of its name, or nil.
func aliasOf(c *ast.Compiler, r *ast.Rule) ast.Ref {
	if r.Default || r.Else != nil || len(r.Head.Args) > 0 || r.Head.Key != nil || r.Head.RuleKind() != ast.SingleValue || len(r.Body) == 0 {
		return nil
	}
	n := c.RuleTree.Find(r.Ref())
	if n == nil || len(n.Values) != 1 || len(n.Children) > 0 {
		return nil
	}
	var to ast.Ref
	for _, e := range r.Body {
		b := bindingOf(e)
		switch t, isTerm := e.Terms.(*ast.Term); {
		case isTerm && !e.Negated && len(e.With) == 0 && t.Equal(ast.InternedTerm(true)):
		case b != nil && to == nil && isVar(r.Head.Value) && r.Head.Value.Value.Compare(b.v) == 0:
			to = b.ref
		default:
			return nil
		}
	}
	if len(to) < 2 || !to.HasPrefix(ast.InputRootRef) {
		return nil
	}
	for _, t := range to[1:] {
		if _, ok := t.Value.(ast.String); !ok {
			return nil
		}
	}
	return to
}

func inlineExpr(c *ast.Compiler, e *ast.Expr, aliases map[*ast.Rule]ast.Ref) {
	ast.WalkTerms(e, func(t *ast.Term) bool {
		ref, ok := t.Value.(ast.Ref)
		if !ok || !ref[0].Equal(ast.DefaultRootDocument) {
			return false
		}
		n := c.RuleTree.Child(ref[0].Value)
		for i := 1; n != nil; i++ {
			if len(n.Values) == 1 && len(n.Children) == 0 {
				if to := aliases[n.Values[0]]; to != nil {
					t.Value = to.Concat(ref[i:])
				}
				return false
			}
			if i == len(ref) || !ast.IsConstant(ref[i].Value) {
				return false
			}
			n = n.Child(ref[i].Value)
		}
		return false
	})
}
