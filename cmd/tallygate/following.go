package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/policy/opa"
)

// following keeps the newest good generation of one set of policies in use: the
// enforced one or the candidate.
type following struct {
	name    string // enforced, shadow: in metrics and the log
	cfg     opa.Config
	publish func(*opa.Generation)
	failed  func(error)       // there is no generation, and why
	loading func(*opa.Loader) // what loads from now on; nil for nothing
	own     prometheus.Registerer
	log     *slog.Logger
}

// run loads cfg and what becomes of it until ctx ends.
func (f *following) run(ctx context.Context) {
	if slices.Equal(f.cfg.Paths, []string{permissive}) {
		g, err := compile(ctx, &f.cfg)
		if err != nil {
			f.failed(err)
		} else {
			f.publish(g)
		}
		<-ctx.Done()
		return
	}
	reg := &scopedRegisterer{Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"policy": f.name}, f.own)}
	defer reg.close()
	log := f.log.With("policy", f.name)
	l, err := opa.NewLoader(f.cfg, f.publish, reg, log)
	if err != nil {
		f.failed(err)
		log.Error("The policy cannot be loaded; the last good one stays", "err", err)
		<-ctx.Done()
		return
	}
	f.loading(l)
	defer f.loading(nil)
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if ctx.Err() == nil && err != nil {
				f.failed(err)
				log.Error("The policy is no longer kept up to date; the last good one stays", "err", err)
				<-ctx.Done()
			}
			return
		case <-tick.C:
		}
		switch a := l.Active(); {
		case a.Generation != nil:
			tick.Stop() // from now on there is one
		case a.Err != nil:
			f.failed(a.Err)
		case a.Waiting:
			f.failed(errors.New("waiting for bundles"))
		}
	}
}

// scopedRegisterer takes back what was registered with it.
type scopedRegisterer struct {
	prometheus.Registerer
	collectors []prometheus.Collector
}

func (s *scopedRegisterer) Register(c prometheus.Collector) error {
	err := s.Registerer.Register(c)
	if err == nil {
		s.collectors = append(s.collectors, c)
	}
	return err
}

func (s *scopedRegisterer) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := s.Register(c); err != nil {
			panic(err)
		}
	}
}

func (s *scopedRegisterer) close() {
	for _, c := range s.collectors {
		s.Registerer.Unregister(c)
	}
}
