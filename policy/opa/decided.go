package opa

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// decision names the rule that gave an answer.
type decision struct {
	name string // as envoy.authz.allow:12
	at   string // file:line
}

// decided finds the rule of the entrypoint that gave answer. The value in a
// rule's head is handed through an evaluation as the same term, and one that has
// to be filled in keeps its position; so at most the rules whose value was made
// elsewhere cannot be told apart, and then only if there are two.
func (e *entry) decided(answer *ast.Term) decision {
	none := decision{e.rule, location(e.rules[0].Location)}
	if answer == nil {
		return none
	}
	var placed, open *ast.Rule
	n := 0
	for _, r := range e.rules {
		for ; r != nil; r = r.Else {
			v := r.Head.Value
			switch {
			case v == answer:
				return e.decidedBy(r)
			case !isVar(v) && ast.IsConstant(v.Value):
			case v.Location != nil && v.Location == answer.Location:
				placed = r
			default:
				open = r
				n++
			}
		}
	}
	switch {
	case placed != nil:
		return e.decidedBy(placed)
	case n == 1:
		return e.decidedBy(open)
	}
	return none
}

// ownHeads makes the head values of the entrypoint's rules terms of their own,
// which the parser may have shared.
func (e *entry) ownHeads() {
	for _, r := range e.rules {
		for ; r != nil; r = r.Else {
			v := *r.Head.Value
			r.Head.Value = &v
		}
	}
}

func (e *entry) decidedBy(r *ast.Rule) decision {
	return decision{fmt.Sprintf("%s:%d", e.rule, r.Location.Row), location(r.Location)}
}
