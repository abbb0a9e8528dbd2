package main

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy"
	"github.com/tallygate/tallygate/policy/opa"
)

// oraclePolicies use what a shape could miss: else, unused bindings, functions
// of the input, comprehensions, dynamic references, with, partial rules. %s is
// one of users.
var oraclePolicies = []string{
	`default allow := false
allow if input.user == "%s"`,
	`allow := {"allowed": true, "headers": {"x-user": input.user}} if { input.method == "GET"; input.user == "%s" } else := {"allowed": false, "reason": input.path[0]} if input.path
else := false`,
	`default allow := false
allow if { _ = input.token; input.user != "%s" }`,
	`default allow := false
allow if owner(input)
owner(x) if x.attrs[x.method] == "%s"`,
	`default allow := false
allow if count([p | some p in input.path; p != "%s"]) > 1`,
	`default allow := false
allow if inner with input.user as "%s"
inner if { input.user == "alice"; input.token.admin }`,
	`allow := {"allowed": count(denied) == 0, "cache": {"no_store": input.token == null}}
denied contains name if { some name, v in input.attrs; v == "%s" }`,
	`allow := {"allowed": input.user == "%s", "dynamic_metadata": {"kind": type_name(object.get(input, "token", "none"))}}`,
}

var users = []string{"alice", "bob", "GET", "a"}

// oracleInput draws from a small world, so that keys come again and values of
// different types at one place are common.
func oracleInput(rng *rand.Rand) string {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	var fields []string
	add := func(name string, values ...string) {
		if rng.IntN(5) > 0 {
			fields = append(fields, fmt.Sprintf("%q: %s", name, pick(values...)))
		}
	}
	add("user", `"alice"`, `"bob"`, `"a"`, `null`, `1`, `["alice"]`)
	add("method", `"GET"`, `"POST"`, `"a"`, `true`)
	add("path", `["a"]`, `["a", "b"]`, `["GET", "bob", "a"]`, `[]`, `"a"`, `{"0": "a"}`)
	add("token", `null`, `"x"`, `{"admin": true}`, `{"admin": false}`, `{}`)
	add("attrs", `{"GET": "alice"}`, `{"POST": "alice", "a": "bob"}`, `{}`, `["alice", "a"]`)
	add("noise", fmt.Sprint(rng.IntN(1000)))
	return "{" + strings.Join(fields, ", ") + "}"
}

// TestCachedEqualsFresh: over policies, requests, kinds of listener and reloads
// in between, the decider says what a fresh evaluation says.
func TestCachedEqualsFresh(t *testing.T) {
	checks := 200_000
	if raceEnabled {
		checks = 20_000
	}
	if testing.Short() {
		checks = 10_000
	}
	cfg := policy.DefaultConfig()
	cfg.EvaluationTimeout = time.Minute // answers are compared, however busy the machine is
	d, err := policy.New(cfg, policy.Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 2))
	var g *opa.Generation
	hits := 0
	for i := range checks {
		if i%500 == 0 {
			text := "package envoy.authz\n" + fmt.Sprintf(oraclePolicies[(i/500)%len(oraclePolicies)], users[rng.IntN(len(users))])
			cfg := opa.DefaultConfig()
			if g, err = opa.CompileSources(t.Context(), &cfg, &opa.Sources{Modules: map[string]string{"p.rego": text}}); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			d.Activate(rules{g})
		}
		text := oracleInput(rng)
		in, err := policy.ParseInput([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Decide(t.Context(), &mesh.Query{Listener: mesh.Listener(rng.IntN(4)), Request: in})
		want, wantErr := g.Evaluate(t.Context(), "", in)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%s: %v; want %v", text, err, wantErr)
		}
		if err != nil {
			continue
		}
		if got.Hit {
			hits++
		}
		if !sameVerdict(got.Verdict, want.Verdict) {
			t.Fatalf("generation %d, %s, hit %t: %+v; want %+v", i/500, text, got.Hit, got.Verdict, want.Verdict)
		}
		if got.Hit && want.Cache.NoStore {
			t.Fatalf("%s: a hit although the result says no_store", text)
		}
	}
	if hits < checks/4 {
		t.Errorf("%d hits in %d checks show little", hits, checks)
	}
}

func sameVerdict(a, b *mesh.Verdict) bool {
	return a.Allowed == b.Allowed && a.Status == b.Status && a.Body == b.Body && a.Reason == b.Reason && a.Rule == b.Rule &&
		reflect.DeepEqual(a.Headers, b.Headers) && reflect.DeepEqual(a.Metadata, b.Metadata)
}
