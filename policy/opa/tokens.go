package opa

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// tokens collects, during one evaluation, when the validity of a token changes
// next.
type tokens struct {
	now  time.Time
	next time.Time
}

// tokensKey is where an evaluation's metadata holds its *tokens.
const tokensKey = "tallygate.tokens"

// OPA looks its own built-ins up before those given to a query, so they can
// only be watched where they are registered. Evaluations without *tokens, such
// as those of OPA's own tools, are unaffected.
func init() {
	for _, name := range []string{ast.JWTDecode.Name, ast.JWTDecodeVerify.Name} {
		ast.BuiltinMap[name].CanSkipBctx = false // else an evaluation would not be told apart
		topdown.RegisterBuiltinFunc(name, watched(topdown.GetBuiltin(name), name == ast.JWTDecodeVerify.Name))
	}
}

// watched notes the claims of each token that f is given, whatever f makes of
// it: a token that is not valid yet may become so.
func watched(f topdown.BuiltinFunc, verifies bool) topdown.BuiltinFunc {
	return func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		seen, _ := bctx.RequestMetadata[tokensKey].(*tokens)
		if seen == nil {
			return f(bctx, operands, iter)
		}
		if !verifies {
			return f(bctx, operands, func(t *ast.Term) error {
				seen.decoded(t)
				return iter(t)
			})
		}
		decode := topdown.GetBuiltin(ast.JWTDecode.Name)
		// What cannot be decoded has no claims and never verifies.
		_ = decode(bctx, operands[:1], func(*ast.Term) error { return nil })
		return f(bctx, operands, iter)
	}
}

// decoded notes the claims of [header, payload, signature].
func (s *tokens) decoded(t *ast.Term) {
	parts, ok := t.Value.(*ast.Array)
	if !ok || parts.Len() < 2 {
		return
	}
	claims, ok := parts.Elem(1).Value.(ast.Object)
	if !ok {
		return
	}
	for _, name := range [...]*ast.Term{expKey, nbfKey} {
		if c := claims.Get(name); c != nil {
			if n, ok := c.Value.(ast.Number); ok {
				s.note(json.Number(n))
			}
		}
	}
}

var expKey, nbfKey = ast.StringTerm("exp"), ast.StringTerm("nbf")

// note takes a NumericDate: seconds since the epoch, maybe with a fraction.
func (s *tokens) note(n json.Number) {
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil || math.IsNaN(f) || f > 1<<40 || f < 0 {
		return
	}
	sec := math.Floor(f)
	t := time.Unix(int64(sec), int64((f-sec)*1e9))
	if t.After(s.now) && (s.next.IsZero() || t.Before(s.next)) {
		s.next = t
	}
}
