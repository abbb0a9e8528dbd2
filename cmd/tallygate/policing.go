package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"

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

	ready   *admin.Readiness
	log     *telemetry.Log
	sources chan ruleSources // what runRules is to load from now on
	first   ruleSources
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
	p := &policing{ready: d.ready, log: d.log, sources: make(chan ruleSources, 1), first: sourcesOf(cfg)}
	var err error
	p.decider, err = policy.New(cfg.Policy.Get().Decider, policy.Options{Metrics: own, Log: d.log.Logger, Stdout: os.Stdout})
	if err != nil {
		return nil, err
	}
	if p.server, err = extauthz.New(cfg.Ingest.ExtAuthz.Config, p.decider, own, d.log.Logger); err != nil {
		return nil, fmt.Errorf("ingest.extauthz: %w", err)
	}
	p.listener, err = ingest.NewGRPCServer(cfg.Ingest.ExtAuthz.GRPCConfig, ingest.GRPCOptions{
		Key: "ingest.extauthz", Grace: d.grace, Metrics: own, Log: d.log.Logger,
	})
	if err != nil {
		return nil, err
	}
	p.server.Register(p.listener)
	p.ready.Set("policy", errors.New("no policy is active yet"))
	return p, nil
}

// runRules loads policies and keeps them up to date until ctx ends.
func (p *policing) runRules(ctx context.Context) error {
	src := p.first
	for {
		own, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.follow(own, src)
		}()
		select {
		case <-ctx.Done():
			cancel()
			<-done
			return nil
		case src = <-p.sources:
			cancel()
			<-done
		}
	}
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
	if changed {
		select {
		case <-p.sources: // never taken up
		default:
		}
		p.sources <- src
	}
	return nil
}

func (p *policing) publish(g *opa.Generation) {
	p.decider.Activate(rules{g})
	p.ready.Pass("policy", "revision "+g.Revision)
	p.log.Info("Policy active", "revision", g.Revision, "files", len(g.Files))
	for _, name := range g.Entrypoints() {
		if s, err := g.Shape(name); err == nil && !s.Cacheable {
			for _, r := range s.Reasons {
				p.log.Warn("Decisions of this entrypoint are not cached", "entrypoint", name, "what", r.What, "why", r.Why, "at", r.At)
			}
		}
	}
}

// follow loads what src names and, as long as ctx lasts, what becomes of it.
func (p *policing) follow(ctx context.Context, src ruleSources) {
	g, err := compile(ctx, &src.enforced)
	if err != nil {
		p.log.Error("The policy does not compile; the last good one stays", "err", err)
	} else {
		p.publish(g)
	}
	<-ctx.Done()
}
