package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy"
	"github.com/tallygate/tallygate/policy/opa"
)

// hitRatePolicies are the example policies, and the traffic that they would see.
var hitRatePolicies = []struct {
	name    string
	data    map[string]any // instead of the example's own
	traffic func(*shoppers) *plainCheck
}{
	{"mtls", nil, (*shoppers).service},
	{"tcp", map[string]any{"ports": map[string]any{"8080": allAccounts("shop/%s")}}, (*shoppers).connection},
	{"grpc", map[string]any{"calls": byPrincipal([]any{"shop.v1.*"})}, (*shoppers).grpc},
	{"rbac", map[string]any{"rbac": map[string]any{
		"roles": byPrincipal([]any{"all"}),
		"grants": map[string]any{"all": []any{
			map[string]any{"methods": []any{"GET", "POST"}, "area": "products"}, map[string]any{"methods": []any{"GET", "POST"}, "area": "users"},
		}},
	}}, (*shoppers).service},
	{"abac", nil, (*shoppers).service},
	{"istio", nil, (*shoppers).service},
	{"apikeys", nil, (*shoppers).service},
	{"networks", nil, (*shoppers).user},
	{"jwt", map[string]any{"issuer": issuer}, (*shoppers).user},
	{"owner", map[string]any{"issuer": issuer}, (*shoppers).user},
}

var issuer = map[string]any{"issuer": "https://issuer.example", "audience": "shop", "secret": jwtSecret}

// measureHitRates replays a minute of a shop's traffic through each policy, on
// a clock of its own: a hit rate is a matter of keys and TTLs, not of speed.
func measureHitRates(ctx context.Context, o options, r *report) error {
	const perSecond = 200
	span := time.Minute
	if o.quick {
		span = 20 * time.Second
	}
	r.section("Hit rates", fmt.Sprintf(
		"The example policies on %.0f s of a shop's traffic at %d checks/s, with the cache as by default (TTL 1 m, denials 10 s), from empty. "+
			"Twenty services call each other by certificate, Zipf-distributed; 20,000 users with a token each come by an ingress, Zipf-distributed too. "+
			"A third of the requests are for one of 100 pages, a third for one of 10,000 products, a third for something of the user's own with an id that never comes again.",
		span.Seconds(), perSecond))
	t := r.table("policy", "hit rate", "the second half alone", "evaluations", "key", "what keeps it down")
	for _, p := range hitRatePolicies {
		dir := filepath.Join("examples", "policies", p.name)
		if p.data != nil {
			var err error
			if dir, err = withData(dir, filepath.Join(o.dir, p.name), p.data); err != nil {
				return err
			}
		}
		got, err := hitRate(ctx, dir, p.traffic, perSecond, span)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		progress("%-9s %5.1f %% hits", p.name, 100*got.all)
		t.row(p.name, fmt.Sprintf("%.1f %%", 100*got.all), fmt.Sprintf("%.1f %%", 100*got.late), thousands(float64(got.evaluations)),
			fmt.Sprintf("%d bytes", got.keyBytes), got.widest)
	}
	return nil
}

type hitRates struct {
	all, late   float64
	evaluations int
	keyBytes    int
	widest      string // the path with the most values
}

// withData puts the rules of dir beside other data, in the directory to.
func withData(dir, to string, data map[string]any) (string, error) {
	rules, err := filepath.Glob(filepath.Join(dir, "*.rego"))
	if err != nil {
		return "", err
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return "", err
	}
	for _, from := range rules {
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(from)), text, 0o644); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(data)
	if err != nil {
		return "", err
	}
	return to, os.WriteFile(filepath.Join(to, "data.json"), b, 0o644)
}

func hitRate(ctx context.Context, dir string, traffic func(*shoppers) *plainCheck, perSecond int, span time.Duration) (got hitRates, err error) {
	cfg := opa.DefaultConfig()
	src, err := opa.Read([]string{dir})
	if err != nil {
		return got, err
	}
	g, err := opa.CompileSources(ctx, &cfg, src)
	if err != nil {
		return got, err
	}
	shape, err := g.Shape("")
	if err != nil {
		return got, err
	}
	now := time.Unix(1_700_000_000, 0)
	settings := policy.DefaultConfig()
	settings.EvaluationTimeout = time.Minute // how fast it is is measured elsewhere
	d, err := policy.New(settings, policy.Options{
		Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
	})
	if err != nil {
		return got, err
	}
	d.Activate(evaluator{g})
	s := newShoppers()
	n := perSecond * int(span.Seconds())
	hits, late := 0, 0
	values := make([]map[string]bool, len(shape.Paths))
	for i := range values {
		values[i] = map[string]bool{}
	}
	for i := range n {
		now = now.Add(time.Second / time.Duration(perSecond))
		req, err := traffic(s).lens()
		if err != nil {
			return got, err
		}
		decision, err := d.Decide(ctx, &mesh.Query{Request: req})
		if err != nil {
			return got, err
		}
		if decision.Hit {
			hits++
			if i >= n/2 {
				late++
			}
		}
		for j, p := range shape.Paths {
			v, _ := req.Lookup(p)
			text := fmt.Sprint(v)
			values[j][text] = true
			got.keyBytes += len(v.Text) // of arrays and objects below
			for _, e := range v.Elems {
				got.keyBytes += len(e.Text)
			}
		}
	}
	most := 0
	for j, p := range shape.Paths {
		if len(values[j]) > most {
			most, got.widest = len(values[j]), fmt.Sprintf("`%s`, %s values", p, thousands(float64(len(values[j]))))
		}
	}
	got.all, got.late, got.evaluations, got.keyBytes = float64(hits)/float64(n), float64(late)/float64(n-n/2), n-hits, got.keyBytes/n
	return got, nil
}

// evaluator makes a generation what the decider works with, as serve does.
type evaluator struct{ g *opa.Generation }

func (e evaluator) Revision() string { return e.g.Revision }

func (e evaluator) Shape(name string) (policy.Shape, error) {
	s, err := e.g.Shape(name)
	if err != nil {
		return policy.Shape{}, err
	}
	return policy.Shape{Paths: s.Paths, Kinds: s.Kinds, Cacheable: s.Cacheable, NeedsTTL: s.NeedsTTL, TTL: s.TTL}, nil
}

func (e evaluator) Evaluate(ctx context.Context, name string, r mesh.Request) (policy.Result, error) {
	res, err := e.g.Evaluate(ctx, name, r)
	if err != nil {
		return policy.Result{}, err
	}
	return policy.Result{
		Verdict: res.Verdict,
		Cache:   policy.CacheHint{NoStore: res.Cache.NoStore, HasTTL: res.Cache.HasTTL, TTL: res.Cache.TTL, NotAfter: res.Cache.NotAfter},
	}, nil
}
