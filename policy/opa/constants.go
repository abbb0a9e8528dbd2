package opa

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// constantsTime bounds what a load spends on constants. Those that are left are
// evaluated for each request, as without any.
const constantsTime = 10 * time.Second

// addConstants evaluates the rules that rest on data alone, such as an index that
// a policy makes of its data: they have the same value for every request. What is
// undefined or an error is left to the request.
func (g *Generation) addConstants(ctx context.Context, reached map[*ast.Rule]bool) error {
	ctx, cancel := context.WithTimeout(ctx, constantsTime)
	defer cancel()
	constants := topdown.NewVirtualCache()
	done := map[string]bool{}
	for r := range reached {
		ref := r.Ref()
		if done[ref.String()] || !g.constant(ref) {
			continue
		}
		done[ref.String()] = true
		// All values, so that two that conflict come to light.
		x := ast.VarTerm("x")
		e, err := g.newQuery(ast.ArrayComprehensionTerm(x, ast.NewBody(ast.Equality.Expr(x, ast.NewTerm(ref)))))
		if err != nil {
			return err
		}
		all, _, err := g.query(ctx, e, nil, g.Loaded)
		if err != nil {
			continue
		}
		if values := all.Value.(*ast.Array); values.Len() == 1 {
			constants.Put(ref, values.Elem(0))
		}
	}
	g.constants = constants
	return nil
}

// constant reports whether ref is that of complete rules, and of nothing else,
// which read nothing of the input and call nothing that rests on more than its
// arguments. Entrypoints are left out, whose answers show which rule decided, and
// so is what is written down as it is.
func (g *Generation) constant(ref ast.Ref) bool {
	for _, e := range g.entries {
		if e.ref.Equal(ref) {
			return false
		}
	}
	n := g.compiler.RuleTree.Child(ref[0].Value)
	for i := 1; i < len(ref) && n != nil; i++ {
		if len(n.Values) > 0 || !isString(ref[i]) {
			return false
		}
		n = n.Child(ref[i].Value)
	}
	if n == nil || len(n.Children) > 0 {
		return false
	}
	plain := true
	for _, r := range n.Values {
		if len(r.Head.Args) > 0 || r.Head.RuleKind() != ast.SingleValue || r.Head.Key != nil {
			return false
		}
		plain = plain && r.Else == nil && ast.IsConstant(r.Head.Value.Value) && r.Body.Equal(ast.NewBody(ast.NewExpr(ast.BooleanTerm(true))))
	}
	if plain {
		return false
	}
	a := analyse(g.compiler, ref)
	for name := range a.builtins {
		if c, known := classes[name]; !known || c != pure {
			return false
		}
	}
	return len(a.values)+len(a.kinds) == 0
}

// evaluated is the cache of one query, which has the constants from the beginning.
// They do not hold under a `with`, which begins a frame of its own.
type evaluated struct {
	topdown.VirtualCache
	constants topdown.VirtualCache // only read
	withs     int
}

func (e *evaluated) Push() {
	e.withs++
	e.VirtualCache.Push()
}

func (e *evaluated) Pop() {
	e.withs--
	e.VirtualCache.Pop()
}

func (e *evaluated) Get(ref ast.Ref) (value *ast.Term, undefined bool) {
	if e.withs == 0 {
		if v, _ := e.constants.Get(ref); v != nil {
			return v, false
		}
	}
	return e.VirtualCache.Get(ref)
}
