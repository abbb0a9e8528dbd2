package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/collector/host"
	"github.com/tallygate/tallygate/exporters/push"
	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/internal/telemetry"
	"github.com/tallygate/tallygate/red"
)

// pushing is the push of the table to hosted exporters, which a reload
// replaces as a whole. It is there also when nothing is pushed.
type pushing struct {
	table    *red.Table // nil without the telemetry plane
	books    prometheus.Registerer
	log      *slog.Logger
	instance string // tells the replicas apart

	host   *host.Host
	pusher *push.Pusher
	task   *task
}

// checkExporters finds what the exporters do not like about their sections.
func checkExporters(c *config.Config) error {
	h, err := host.New(c.Exporters, host.Settings{
		Factories: host.BuiltIn(nil), Extensions: c.Extensions, Receivers: c.Receivers, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	var problems config.Problems
	for i, id := range c.Push.Exporters {
		if _, known := c.Exporters[id]; !known {
			continue // said elsewhere
		}
		if _, err := h.Metrics(id); err != nil {
			problems = append(problems, config.Problem{Path: fmt.Sprintf("push.exporters[%d]", i), Message: err.Error()})
		}
	}
	// With the queue that is to be theirs, which may name a storage.
	traces, err := host.New(spanExporters(c), host.Settings{Factories: host.BuiltIn(nil), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	for i, id := range c.Spans.Exporters {
		if _, known := c.Exporters[id]; !known {
			continue // said elsewhere
		}
		if _, err := traces.Traces(id); err != nil {
			problems = append(problems, config.Problem{Path: fmt.Sprintf("spans.exporters[%d]", i), Message: err.Error()})
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// build makes the exporters that cfg pushes to; nothing is started.
func (p *pushing) build(cfg *config.Config) (*host.Host, []push.Destination, error) {
	h, err := host.New(cfg.Exporters, host.Settings{
		Factories: host.BuiltIn(nil), Extensions: cfg.Extensions,
		Version: telemetry.ReadBuild().Version, Log: p.log, Metrics: p.books,
	})
	if err != nil {
		return nil, nil, err
	}
	var to []push.Destination
	for _, id := range cfg.Push.Exporters {
		m, err := h.Metrics(id)
		if err != nil {
			return nil, nil, fmt.Errorf("push.exporters: %w", err)
		}
		to = append(to, push.Destination{ID: id, Metrics: m})
	}
	return h, to, nil
}

// start starts the exporters and then the pushes to them.
func (p *pushing) start(cfg *config.Config, failed chan<- error) error {
	if len(cfg.Push.Exporters) == 0 || p.table == nil {
		return nil
	}
	h, to, err := p.build(cfg)
	if err != nil {
		return err
	}
	return p.startBuilt(cfg, h, to, failed)
}

func (p *pushing) startBuilt(cfg *config.Config, h *host.Host, to []push.Destination, failed chan<- error) error {
	if len(to) == 0 || p.table == nil {
		return nil
	}
	pusher, err := push.New(cfg.Push, p.table, push.Options{
		To: to, Version: telemetry.ReadBuild().Version, Instance: p.instance, Metrics: p.books, Log: p.log,
	})
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Drain.Timeout)
	defer cancel()
	if err := h.Start(ctx); err != nil {
		pusher.Close()
		return fmt.Errorf("exporters: %w", err)
	}
	p.host, p.pusher = h, pusher
	p.task = start("push", pusher.Run, failed)
	return nil
}

// stop pushes once more, drains the exporters' queues and stops them, all within
// limit.
func (p *pushing) stop(limit time.Duration) error {
	if p.task == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	p.task.cancel()
	var err error
	select {
	case <-p.task.done:
		err = p.task.err
	case <-ctx.Done():
		err = fmt.Errorf("push: the last push was not done within %s", limit)
	}
	// A push that still runs gets its error from the exporters that end now.
	err = errors.Join(err, p.host.Shutdown(ctx))
	<-p.task.done
	p.pusher.Close()
	p.host, p.pusher, p.task = nil, nil, nil
	return err
}

// replace builds the new, stops the old and starts the new. If the new cannot be
// started the old starts again, and the error says why.
func (p *pushing) replace(before, after *config.Config, failed chan<- error) error {
	h, to, err := p.build(after)
	if err != nil {
		return err
	}
	if err := p.stop(before.Drain.Timeout); err != nil {
		p.log.Warn("Stopping the old exporters", "err", err)
	}
	if err := p.startBuilt(after, h, to, failed); err != nil {
		return errors.Join(err, p.start(before, failed))
	}
	return nil
}
