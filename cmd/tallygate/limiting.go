package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/ratelimit"
	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy"
	"github.com/tallygate/tallygate/policy/quota/descriptors"
)

// limiting answers Envoy's RateLimitService: from descriptors to quotas.
type limiting struct {
	limits   *descriptors.Loader // nil if a policy finds the limits
	server   *ratelimit.Server
	listener *ingest.GRPCServer
}

func newLimiting(cfg *config.Config, d *daemon, own prometheus.Registerer) (*limiting, error) {
	l := &limiting{}
	var finder mesh.LimitFinder
	var err error
	if r := cfg.RateLimit.Get(); r.Entrypoint != "" {
		finder = policy.NewLimits(d.policing.decider, r.Entrypoint)
	} else if l.limits, err = descriptors.NewLoader(r.Config, own, d.log.Logger); err != nil {
		return nil, fmt.Errorf("ratelimit: %w", err)
	} else {
		finder = l.limits
	}
	if l.server, err = ratelimit.New(cfg.Ingest.RateLimit.Config, finder, d.quotas, own, d.log.Logger); err != nil {
		return nil, fmt.Errorf("ingest.ratelimit: %w", err)
	}
	l.listener, err = ingest.NewGRPCServer(cfg.Ingest.RateLimit.GRPCConfig, ingest.GRPCOptions{
		Key: "ingest.ratelimit", Workers: uint32(16 * runtime.GOMAXPROCS(0)), Grace: d.grace, Metrics: own, Log: d.log.Logger,
	})
	if err != nil {
		return nil, err
	}
	l.server.Register(l.listener)
	return l, nil
}

// runLimits keeps the limits up to date until ctx ends.
func (l *limiting) runLimits(ctx context.Context) error {
	if l.limits == nil {
		<-ctx.Done()
		return nil
	}
	return l.limits.Run(ctx)
}

// reload changes what differs between two configurations. Limits that do not
// compile are refused before anything changes.
func (l *limiting) reload(before, after *config.Config) error {
	limits := after.RateLimit.Get().Config
	changed := l.limits != nil && !reflect.DeepEqual(limits, before.RateLimit.Get().Config)
	if changed {
		if err := l.limits.Reconfigure(limits); err != nil {
			return fmt.Errorf("ratelimit: %w", err)
		}
	}
	if cfg := after.Ingest.RateLimit.Config; !reflect.DeepEqual(cfg, before.Ingest.RateLimit.Config) {
		if err := l.server.Reconfigure(cfg); err != nil {
			err = fmt.Errorf("ingest.ratelimit: %w", err)
			if changed {
				err = errors.Join(err, l.limits.Reconfigure(before.RateLimit.Get().Config))
			}
			return err
		}
	}
	return nil
}

// skipLimiting goes on without the service if nobody asked for it and its port is
// taken: by an envoyproxy/ratelimit next door.
func (d *daemon) skipLimiting(err error) bool {
	if len(d.src.URIs) > 0 || !errors.Is(err, syscall.EADDRINUSE) {
		return false
	}
	d.log.Warn("The rate limit service is left out", "err", err)
	d.limiting = nil
	return true
}
