package opa

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/util"
	"github.com/tallygate/tallygate/mesh"
)

var (
	oracleChecks = flag.Int("oracle.checks", 10_000, "comparisons of the oracle test")
	oracleSeed   = flag.Uint64("oracle.seed", 1, "where the oracle test begins")
)

// TestOracle judges random inputs by random policies, once as OPA does, with the
// whole input, and once as we do, with what the shape asks for. As the latter is
// all that a key is made of, equal answers mean that the key is complete.
func TestOracle(t *testing.T) {
	checks := *oracleChecks
	if testing.Short() {
		checks = min(checks, 2000)
	}
	var done, refused, narrow, answered, equal int
	now := time.Unix(1_700_000_000, 0)
	data := filepath.Join(t.TempDir(), "data.json")
	write(t, data, string(util.MustMarshalJSON(constantData())))
	for n := uint64(0); done < checks; n++ {
		gen := &generator{Rand: rand.New(rand.NewPCG(*oracleSeed, n))}
		modules := gen.policy()
		g, err := CompileSources(context.Background(), &Config{Entrypoint: "p/allow"}, &Sources{Modules: modules, Data: object(constantData())})
		if err != nil {
			if refused++; refused > 50 && refused > int(n)*9/10 {
				t.Fatalf("too few policies compile: %v\n%s", err, modules["p.rego"])
			}
			continue
		}
		plain, err := compileSources(context.Background(), &Config{Entrypoint: "p/allow"}, &Sources{Modules: modules, Data: object(constantData())},
			func(*ast.Compiler) *ast.Error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			repack(t, g, data)
		}
		e := g.entries[""]
		whole := len(e.shape.Paths) == 1 && len(e.shape.Paths[0]) == 0
		if whole {
			continue
		}
		if len(e.shape.Kinds) > 0 {
			narrow++
		}
		seen := map[string]string{}
		for range 100 {
			r := &request{input: gen.input()}
			full := valueOf(r.input)
			want := outcome(g, e, term(&full), now)
			// Whether two values of one rule come to light is up to the order of
			// evaluation, which OPA's index of rules changes as well.
			if ref := outcome(plain, plain.entries[""], term(&full), now); ref != want && ref != conflict {
				t.Fatalf("policy %d: OPA says %s, we %s\n%s\n%s", n, ref, want, modules["lib.rego"], modules["p.rego"])
			}
			built := e.plan.build(r)
			got := outcome(g, e, built, now)
			done++
			if want != "undefined" {
				answered++
			}
			if got != want {
				input, _ := json.Marshal(r.input)
				t.Fatalf("policy %d: with the whole input %s\nwith the shape's %s\nshape %v kinds %v\ninput %s\nbuilt %v\n%s\n%s",
					n, want, got, e.shape.Paths, e.shape.Kinds, input, built, modules["lib.rego"], modules["p.rego"])
			}
			key := projection(e.shape, r)
			if last, ok := seen[key]; ok {
				if equal++; last != want {
					t.Fatalf("policy %d: two inputs with the key %s: %s and %s\n%s\n%s",
						n, key, last, want, modules["lib.rego"], modules["p.rego"])
				}
			}
			seen[key] = want
		}
	}
	t.Logf("%d checks, %d with an answer, %d with the key of another; %d policies with aliases, %d refused", done, answered, equal, narrow, refused)
}

const conflict = "error " + topdown.ConflictErr

// outcome spells the answer to an input, or the code of the error.
func outcome(g *Generation, e *entry, input *ast.Term, now time.Time) string {
	answer, _, err := g.query(context.Background(), e, input, now)
	var te *topdown.Error
	switch {
	case errors.As(err, &te):
		return "error " + te.Code
	case err != nil:
		return err.Error()
	case answer == nil:
		return "undefined"
	}
	return answer.Value.String()
}

// projection spells what a key has of r.
func projection(s *Shape, r mesh.Request) string {
	var all []any
	for _, p := range s.Paths {
		v, ok := r.Lookup(p)
		all = append(all, ok, term(&v).Value.String())
	}
	for _, p := range s.Kinds {
		k, ok := mesh.Probe(r, p)
		all = append(all, ok, k)
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(b)
}
