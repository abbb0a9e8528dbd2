package main

import (
	"context"
	"slices"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy"
	"github.com/tallygate/tallygate/policy/opa"
	"github.com/tallygate/tallygate/policy/rego"
)

// permissive is the path that stands for the shipped policy that allows
// everything.
const permissive = "builtin:permissive"

// rules makes a generation of policies what the decider works with.
type rules struct{ *opa.Generation }

// Revision implements [policy.Rules].
func (r rules) Revision() string { return r.Generation.Revision }

// Shape implements [policy.Rules].
func (r rules) Shape(entrypoint string) (policy.Shape, error) {
	s, err := r.Generation.Shape(entrypoint)
	if err != nil {
		return policy.Shape{}, err
	}
	out := policy.Shape{Paths: s.Paths, Kinds: s.Kinds, Cacheable: s.Cacheable, NeedsTTL: s.NeedsTTL, TTL: s.TTL}
	if len(s.Reasons) > 0 {
		out.Reason = s.Reasons[0].String()
	}
	return out, nil
}

// Evaluate implements [policy.Rules].
func (r rules) Evaluate(ctx context.Context, entrypoint string, req mesh.Request) (policy.Result, error) {
	res, err := r.Generation.Evaluate(ctx, entrypoint, req)
	if err != nil {
		return policy.Result{}, err
	}
	return policy.Result{
		Verdict: res.Verdict, Expires: res.Expires,
		Cache: policy.CacheHint{NoStore: res.Cache.NoStore, HasTTL: res.Cache.HasTTL, TTL: res.Cache.TTL, NotAfter: res.Cache.NotAfter},
	}, nil
}

// compile compiles what cfg names, once.
func compile(ctx context.Context, cfg *opa.Config) (*opa.Generation, error) {
	if !slices.Equal(cfg.Paths, []string{permissive}) {
		return opa.Compile(ctx, cfg)
	}
	return opa.CompileSources(ctx, cfg, &opa.Sources{
		Modules:  map[string]string{"permissive.rego": rego.Permissive},
		Revision: "permissive",
	})
}
