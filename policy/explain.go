package policy

import (
	"context"
	"fmt"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// Explanation is one decision with what is known about it.
type Explanation struct {
	Verdict *mesh.Verdict
	Took    time.Duration // of a second evaluation: the first one warms up
	Key     []byte        // as of generation 0 and a replay; nil if there is none
	KeptFor time.Duration // in the cache
	NotKept string        // why not; empty if it is
}

// Explain judges r, for people: nothing is cached, counted or logged.
func Explain(ctx context.Context, rules Rules, entrypoint string, r mesh.Request, cfg Config) (*Explanation, error) {
	g := &generation{rules: rules}
	e, err := g.entrypoint(entrypoint)
	if err != nil {
		return nil, err
	}
	var result Result
	var began time.Time
	x := &Explanation{}
	for range 2 {
		began = time.Now()
		if result, err = rules.Evaluate(ctx, entrypoint, r); err != nil {
			return nil, fmt.Errorf("evaluating %s: %w", e.label, err)
		}
		x.Took = time.Since(began)
	}
	x.Verdict = result.Verdict
	key, ok := appendKey(e.heads[mesh.ListenerReplay], &e.shape, r, cfg.Cache.MaxKeyBytes)
	switch {
	case !cfg.Cache.Enabled:
		x.NotKept = "the cache is off"
	case !e.shape.Cacheable:
		x.NotKept = e.shape.Reason
	case !ok:
		x.NotKept = fmt.Sprintf("the key is longer than %d bytes", cfg.Cache.MaxKeyBytes)
	default:
		x.Key = key
		expires, reason := cfg.Cache.life(began, &e.shape, &result)
		x.NotKept = map[string]string{
			keptNoStore: "the result says no_store",
			keptNoTTL:   "no TTL is stated, but it rests on " + e.shape.Reason,
			keptExpired: "its time, or that of a token, is over",
		}[reason]
		if reason == "" {
			x.KeptFor = expires.Sub(began)
		}
	}
	return x, nil
}
