package opa

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	opametrics "github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/tallygate/tallygate/mesh"
)

// Result is what the policies say to one request.
type Result struct {
	Verdict *mesh.Verdict
	Cache   CacheHint
	// Expires is the next time at which a token that was decoded or verified
	// comes to be, or ceases to be, within its validity (nbf, exp); zero if there
	// is none. The result does not hold beyond.
	Expires time.Time
	// Defined is false if the entrypoint had no value, which denies.
	Defined bool
}

// CacheHint is what a result, or the annotation of its entrypoint, says about
// being kept.
type CacheHint struct {
	Opinion  bool          // anything is said
	NoStore  bool          // must not be kept
	HasTTL   bool          // TTL is said
	TTL      time.Duration // the least of result's and annotation's
	NotAfter time.Time     // zero if not said
}

// errDone ends a query after its first answer: an entrypoint has only one.
var errDone = errors.New("done")

// Evaluate judges r by an entrypoint; "" is the default one. It ends with an
// error soon after ctx does. What it returns shares no memory with r.
func (g *Generation) Evaluate(ctx context.Context, entrypoint string, r mesh.Request) (*Result, error) {
	e, err := g.entry(entrypoint)
	if err != nil {
		return nil, err
	}
	return g.evaluate(ctx, e, e.plan.build(r), time.Now())
}

func (g *Generation) evaluate(ctx context.Context, e *entry, input *ast.Term, now time.Time) (*Result, error) {
	answer, expires, err := g.query(ctx, e, input, now)
	if err != nil {
		return nil, err
	}
	res := &Result{Expires: expires, Defined: answer != nil}
	if e.annotated > 0 {
		res.Cache = CacheHint{Opinion: true, HasTTL: true, TTL: e.annotated}
	}
	decided := e.decided(answer)
	if answer == nil {
		res.Verdict = &mesh.Verdict{Reason: "undefined: no rule of data." + e.rule + " applies"}
	} else if err := res.read(answer.Value); err != nil {
		return nil, fmt.Errorf("%s: the result of data.%s: %w", decided.at, e.rule, err)
	}
	res.Verdict.Rule = decided.name
	res.Verdict.GenerationVersion = g.Revision
	return res, nil
}

// query returns the value of the entrypoint, nil if it has none.
func (g *Generation) query(ctx context.Context, e *entry, input *ast.Term, now time.Time) (answer *ast.Term, expires time.Time, err error) {
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	q := topdown.NewQuery(e.query).
		WithQueryCompiler(e.qc).
		WithCompiler(g.compiler).
		WithStore(g.store).
		WithTransaction(g.txn).
		WithInput(input).
		WithTime(now).
		WithCancel(cancel).
		WithMetrics(opametrics.NoOp()).
		WithInterQueryBuiltinCache(g.interQuery).
		WithInterQueryBuiltinValueCache(g.values)
	if g.constants != nil {
		q = q.WithVirtualCache(&evaluated{VirtualCache: topdown.NewVirtualCache(), constants: g.constants})
	}
	if g.transport != nil {
		q = q.WithHTTPRoundTripper(g.transport)
	}
	var seen *tokens
	if e.tokens {
		seen = &tokens{now: now, memory: g.tokens}
		q = q.WithRequestMetadata(map[string]any{tokensKey: seen})
	}
	err = q.Iter(ctx, func(qr topdown.QueryResult) error {
		answer = qr[resultVar]
		return errDone
	})
	switch {
	case err == nil || errors.Is(err, errDone):
	case ctx.Err() != nil:
		return nil, time.Time{}, fmt.Errorf("evaluating data.%s: %w", e.rule, context.Cause(ctx))
	default:
		return nil, time.Time{}, fmt.Errorf("evaluating data.%s: %w", e.rule, err)
	}
	if err := ctx.Err(); err != nil {
		// A built-in that gives up when the context ends may leave an answer.
		return nil, time.Time{}, fmt.Errorf("evaluating data.%s: %w", e.rule, context.Cause(ctx))
	}
	if seen != nil {
		expires = seen.next
	}
	return answer, expires, nil
}
