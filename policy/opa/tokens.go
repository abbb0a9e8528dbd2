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
// next, and remembers for the next evaluation what tokens came to.
type tokens struct {
	now    time.Time
	next   time.Time
	memory *tokenMemory // nil for none
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
		var constraints *ast.Term
		if verifies {
			constraints = operands[1]
		}
		if kept := seen.memory.get(operands[0], constraints, seen.now); kept != nil {
			seen.note(kept.changes[:]...)
			return iter(kept.result)
		}
		kept := &tokenResult{constraints: constraints, from: seen.now}
		claims := func(t *ast.Term) error {
			kept.changes = changesOf(t)
			seen.note(kept.changes[:]...)
			return nil
		}
		if verifies {
			decode := topdown.GetBuiltin(ast.JWTDecode.Name)
			// What cannot be decoded has no claims and never verifies.
			_ = decode(bctx, operands[:1], claims)
		}
		return f(bctx, operands, func(t *ast.Term) error {
			if !verifies {
				_ = claims(t)
			}
			kept.result = t
			seen.memory.put(operands[0], kept, seen.now)
			return iter(t)
		})
	}
}

// changesOf gives when the token of [header, payload, signature] comes to be, or
// ceases to be, within its validity; zero where it does not say.
func changesOf(t *ast.Term) (changes [2]time.Time) {
	parts, ok := t.Value.(*ast.Array)
	if !ok || parts.Len() < 2 {
		return changes
	}
	claims, ok := parts.Elem(1).Value.(ast.Object)
	if !ok {
		return changes
	}
	for i, name := range [...]*ast.Term{expKey, nbfKey} {
		if c := claims.Get(name); c != nil {
			if n, ok := c.Value.(ast.Number); ok {
				changes[i] = numericDate(json.Number(n))
			}
		}
	}
	return changes
}

var expKey, nbfKey = ast.StringTerm("exp"), ast.StringTerm("nbf")

// note takes times at which the validity of a token changes.
func (s *tokens) note(changes ...time.Time) {
	s.next = earliest(s.next, s.now, changes...)
}

// earliest is the first of changes after now, and of least if that is not zero.
func earliest(least, now time.Time, changes ...time.Time) time.Time {
	for _, t := range changes {
		if t.After(now) && (least.IsZero() || t.Before(least)) {
			least = t
		}
	}
	return least
}

// numericDate reads seconds since the epoch, maybe with a fraction; zero for
// what no clock shows.
func numericDate(n json.Number) time.Time {
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil || math.IsNaN(f) || f > 1<<40 || f < 0 {
		return time.Time{}
	}
	sec := math.Floor(f)
	return time.Unix(int64(sec), int64((f-sec)*1e9))
}
