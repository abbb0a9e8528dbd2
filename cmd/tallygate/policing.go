package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/extauthz"
	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/internal/telemetry"
	"github.com/tallygate/tallygate/policy"
	"github.com/tallygate/tallygate/policy/opa"
)

// policing is the policy plane: from checks to answers.
type policing struct {
	decider  *policy.Decider
	server   *extauthz.Server
	listener *ingest.GRPCServer
	forward  *ingest.HTTPServer // nil without its section

	own     prometheus.Registerer
	ready   *admin.Readiness
	log     *telemetry.Log
	sources chan ruleSources // what runRules is to load from now on
	first   ruleSources

	loader atomic.Pointer[opa.Loader] // of the enforced policies; nil for none

	enforced, candidate followed
}

// followed is what is known of a set of policies.
type followed struct {
	mu         sync.Mutex
	cfg        opa.Config
	loader     *opa.Loader // nil for what is built in
	generation *opa.Generation
}

func (f *followed) set(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

// ruleSources are where the enforced and the candidate policy come from.
type ruleSources struct{ enforced, candidate opa.Config }

func sourcesOf(cfg *config.Config) ruleSources {
	p := cfg.Policy.Get()
	s := ruleSources{enforced: p.OPA, candidate: p.OPA}
	s.candidate.Paths, s.candidate.OPAConfig = p.Decider.Shadow.Paths, ""
	return s
}

func newPolicing(cfg *config.Config, d *daemon, own prometheus.Registerer) (*policing, error) {
	p := &policing{own: own, ready: d.ready, log: d.log, sources: make(chan ruleSources, 1), first: sourcesOf(cfg)}
	var err error
	p.decider, err = policy.New(cfg.Policy.Get().Decider, policy.Options{Metrics: own, Log: d.log.Logger, Stdout: os.Stdout, Quotas: d.quotas, OPA: p.logDecision})
	if err != nil {
		return nil, err
	}
	if p.server, err = extauthz.New(cfg.Ingest.ExtAuthz.Config, p.decider, own, d.log.Logger); err != nil {
		return nil, fmt.Errorf("ingest.extauthz: %w", err)
	}
	p.listener, err = ingest.NewGRPCServer(cfg.Ingest.ExtAuthz.GRPCConfig, ingest.GRPCOptions{
		Key: "ingest.extauthz", Workers: uint32(16 * runtime.GOMAXPROCS(0)), Grace: d.grace, Metrics: own, Log: d.log.Logger,
	})
	if err != nil {
		return nil, err
	}
	p.server.Register(p.listener)
	if f := cfg.Ingest.ForwardAuth.Get(); f != nil {
		handler, err := p.server.NewForward(f.ForwardConfig)
		if err != nil {
			return nil, fmt.Errorf("ingest.forward_auth: %w", err)
		}
		p.forward, err = ingest.NewHTTPServer(f.HTTPConfig, handler, ingest.HTTPOptions{
			Key: "ingest.forward_auth", Grace: d.grace, Metrics: own, Log: d.log.Logger,
		})
		if err != nil {
			return nil, err
		}
	}
	p.ready.Set("policy", errors.New("no policy is active yet"))
	return p, nil
}

// runRules loads policies and keeps them up to date until ctx ends.
func (p *policing) runRules(ctx context.Context) error {
	src := p.first
	for {
		own, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { p.follow(own, src) })
		if len(src.candidate.Paths) > 0 {
			wg.Go(func() { p.followCandidate(own, src) })
		} else {
			p.candidate.set(func() { p.candidate.generation, p.candidate.loader, p.candidate.cfg = nil, nil, opa.Config{} })
			p.decider.ActivateShadow(nil)
		}
		select {
		case <-ctx.Done():
		case src = <-p.sources:
		}
		cancel()
		wg.Wait()
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (p *policing) follow(ctx context.Context, src ruleSources) {
	seen := &p.enforced
	seen.set(func() { seen.cfg, seen.loader = src.enforced, nil })
	f := &following{
		name: "enforced", cfg: src.enforced, own: p.own, log: p.log.Logger,
		publish: func(g *opa.Generation) {
			seen.set(func() { seen.generation = g })
			p.decider.Activate(rules{g})
			p.ready.Pass("policy", "revision "+g.Revision)
		},
		failed: func(err error) {
			if _, ok := p.decider.Revision(); !ok {
				p.ready.Set("policy", err)
			}
		},
		loading: func(l *opa.Loader) {
			p.loader.Store(l)
			seen.set(func() { seen.loader = l })
		},
	}
	f.run(ctx)
}

func (p *policing) followCandidate(ctx context.Context, src ruleSources) {
	seen := &p.candidate
	seen.set(func() { seen.cfg, seen.loader = src.candidate, nil })
	f := &following{
		name: "shadow", cfg: src.candidate, own: p.own, log: p.log.Logger,
		publish: func(g *opa.Generation) {
			seen.set(func() { seen.generation = g })
			p.decider.ActivateShadow(rules{g})
		},
		failed:  func(error) {},
		loading: func(l *opa.Loader) { seen.set(func() { seen.loader = l }) },
	}
	f.run(ctx)
}

// reload changes what differs between two configurations. Policies that do not
// compile are refused before anything changes.
func (p *policing) reload(ctx context.Context, before, after *config.Config) error {
	src := sourcesOf(after)
	changed := !reflect.DeepEqual(src, sourcesOf(before))
	if changed {
		if _, err := compile(ctx, &src.enforced); err != nil {
			return fmt.Errorf("policy: %w", err)
		}
	}
	if cfg := after.Policy.Get().Decider; !reflect.DeepEqual(cfg, before.Policy.Get().Decider) {
		if err := p.decider.Reconfigure(cfg); err != nil {
			return err
		}
	}
	if cfg := after.Ingest.ExtAuthz.Config; !reflect.DeepEqual(cfg, before.Ingest.ExtAuthz.Config) {
		if err := p.server.Reconfigure(cfg); err != nil {
			return errors.Join(fmt.Errorf("ingest.extauthz: %w", err), p.decider.Reconfigure(before.Policy.Get().Decider))
		}
	}
	if changed {
		select {
		case <-p.sources: // never taken up
		default:
		}
		p.sources <- src
	}
	return nil
}
