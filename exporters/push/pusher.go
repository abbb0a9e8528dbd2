package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/tallygate/tallygate/red"
)

// Source is what is pushed: a *red.Table.
type Source interface{ Snapshot(*red.Snapshot) }

// Destination is a consumer and the id by which the configuration knows it.
type Destination struct {
	ID      string
	Metrics consumer.Metrics
}

// Options are what a Pusher needs beside its configuration.
type Options struct {
	To       []Destination
	Version  string // of Tallygate: the scope's version and the tag of istio_build
	Instance string // service.instance.id: tells the replicas apart
	Metrics  prometheus.Registerer
	Log      *slog.Logger
}

// Pusher pushes a Source to its destinations.
type Pusher struct {
	cfg      Config
	opts     Options
	source   Source
	metrics  *metrics
	snapshot red.Snapshot
	down     map[string]bool // destinations whose last push failed
}

// New validates cfg and allocates. It registers tallygate_push_* with
// opts.Metrics; Close takes them back.
func New(cfg Config, source Source, opts Options) (*Pusher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(opts.Metrics, opts.To)
	if err != nil {
		return nil, fmt.Errorf("metrics of push: %w", err)
	}
	return &Pusher{cfg: cfg, opts: opts, source: source, metrics: m, down: map[string]bool{}}, nil
}

// Close unregisters the metrics, so that another Pusher can be made in its
// place. It must not be called before Run has returned.
func (p *Pusher) Close() {
	p.opts.Metrics.Unregister(p.metrics.points)
	p.opts.Metrics.Unregister(p.metrics.duration)
}

// Run pushes every interval until ctx ends, then once more with the values of
// series that were still held at 0, and returns nil: what is not delivered is
// counted.
func (p *Pusher) Run(ctx context.Context) error {
	ticker := time.NewTicker(p.cfg.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.push(ctx)
		case <-ctx.Done():
			p.snapshot.Raw = true
			p.push(context.WithoutCancel(ctx))
			return nil
		}
	}
}

// push sends one snapshot in requests of at most MaxPoints points.
func (p *Pusher) push(ctx context.Context) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	p.source.Snapshot(&p.snapshot)
	errs := make([]error, len(p.opts.To)) // the last of each
	c := converter{cfg: &p.cfg, opts: &p.opts, s: &p.snapshot, send: func(md pmetric.Metrics) { p.send(ctx, md, errs) }}
	c.convert()
	p.metrics.duration.Observe(time.Since(began).Seconds())
	for i, d := range p.opts.To {
		p.report(d.ID, errs[i])
	}
}

// send gives md to every destination at the same time and keeps their errors.
func (p *Pusher) send(ctx context.Context, md pmetric.Metrics, errs []error) {
	points := float64(md.DataPointCount())
	var wg sync.WaitGroup
	md.MarkReadOnly()
	for i, d := range p.opts.To {
		wg.Go(func() {
			own := md
			if d.Metrics.Capabilities().MutatesData {
				own = pmetric.NewMetrics()
				md.CopyTo(own)
			}
			result := accepted
			if err := d.Metrics.ConsumeMetrics(ctx, own); err != nil {
				errs[i], result = err, refused
			}
			p.metrics.points.WithLabelValues(d.ID, result).Add(points)
		})
	}
	wg.Wait()
}

// report logs when a destination begins and ceases to fail.
func (p *Pusher) report(id string, err error) {
	switch {
	case err != nil && !p.down[id]:
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("not done within push.timeout (%s): %w", p.cfg.Timeout, err)
		}
		p.opts.Log.Warn("pushing metrics fails", "exporter", id, "error", err)
	case err == nil && p.down[id]:
		p.opts.Log.Info("pushing metrics works again", "exporter", id)
	}
	p.down[id] = err != nil
}
