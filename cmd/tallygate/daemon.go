package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	promexp "github.com/tallygate/tallygate/exporters/prometheus"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/als"
	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/internal/pace"
	"github.com/tallygate/tallygate/internal/tap"
	"github.com/tallygate/tallygate/internal/telemetry"
	"github.com/tallygate/tallygate/policy/quota"
	"github.com/tallygate/tallygate/red"
)

// daemon is everything that serve runs, from left to right. What belongs to a
// plane that does not run is nil.
type daemon struct {
	cfg atomic.Pointer[config.Config]
	src config.Sources
	log *telemetry.Log

	quotas   *quota.Limiter // nil without the policy plane
	policing *policing
	limiting *limiting // nil without its section

	alsListener     *ingest.GRPCServer
	als             *als.Server
	table           *red.Table
	history         *red.History
	tap             *tap.Tap
	metrics         *lastScrape
	metricsListener *ingest.HTTPServer
	pushing         *pushing
	tracing         *tracing
	storing         *storing // nil without its section

	// The books go beside the mesh's metrics on the same endpoint; own are the
	// figures of this process only.
	books, own *prometheus.Registry

	closing chan struct{} // closed when streams of the admin endpoint are to end
	admin   *admin.Server
	ready   *admin.Readiness
	reloads *telemetry.Reloads
}

// newDaemon builds the stages and connects them; nothing runs yet.
func newDaemon(cfg *config.Config, src config.Sources, log *telemetry.Log) (*daemon, error) {
	d := &daemon{src: src, log: log, ready: &admin.Readiness{}, closing: make(chan struct{}), pushing: &pushing{log: log.Logger}}
	d.cfg.Store(cfg)
	d.ready.Set("serving", errors.New("starting"))

	books, own := prometheus.NewRegistry(), telemetry.NewRegistry()
	d.books, d.own = books, own
	d.reloads = telemetry.NewReloads(own)

	var err error
	if slices.Contains(cfg.Planes, config.PlanePolicy) {
		if d.quotas, err = newQuotas(cfg, d, own); err != nil {
			return nil, err
		}
	}
	if cfg.RunsPolicy() {
		if d.policing, err = newPolicing(cfg, d, own); err != nil {
			return nil, err
		}
	}
	if cfg.RunsRateLimit() {
		if d.limiting, err = newLimiting(cfg, d, own); err != nil {
			return nil, err
		}
	}
	if cfg.RunsTelemetry() {
		if err := d.buildTelemetry(cfg, own, books); err != nil {
			return nil, err
		}
	}
	opts := admin.Options{
		Registerer: own,
		Metrics:    prometheus.Gatherers{own, books},
		Readiness:  d.ready,
		Config:     func() ([]byte, error) { return d.cfg.Load().YAML() },
		Log:        log.Logger,
	}
	if p := d.policing; p != nil {
		opts.Decisions = func() any { return p.decider.LastDecisions() }
		opts.Shadow = func() any { return p.decider.LastDifferences() }
	}
	opts.Routes = d.routes()
	if p := d.policing; p != nil {
		opts.Routes = append(opts.Routes, serveRecording(p.decider))
	}
	d.admin, err = admin.New(cfg.Admin, opts)
	return d, err
}

// What a decoder and what scrapes take of the time of a core beside checks, and
// how much at a stretch. With more, the two cores of a small replica are so busy
// that a check waits several times as long as without (docs/benchmarks.md, Checks
// beside telemetry).
const (
	decoderShare = 0.25
	scrapeShare  = 0.2
	scrapeBurst  = 2 * time.Millisecond
)

// buildTelemetry builds the stages from access logs to metrics.
func (d *daemon) buildTelemetry(cfg *config.Config, own, books *prometheus.Registry) (err error) {
	log := d.log
	if d.table, err = red.New(cfg.RED, cfg.Labels); err != nil {
		return fmt.Errorf("red: %w", err)
	}
	d.history = d.table.NewHistory()
	if d.tracing, err = newTracing(cfg, books, log.Logger); err != nil {
		return err
	}
	if d.tap, err = tap.New(cfg.Tap, own); err != nil {
		return err
	}
	sink := &tapped{next: &withSpans{next: d.table, sink: d.tracing.sink}, tap: d.tap}
	logs := cfg.Ingest.ALS.Config
	if cfg.RunsPolicy() {
		if logs.Decoders == 0 {
			logs.Decoders = max(1, runtime.GOMAXPROCS(0)-1)
		}
		if logs.DecoderShare == 0 {
			logs.DecoderShare = decoderShare
		}
	}
	if d.als, err = als.New(logs, cfg.Labels, sink, books, log.Logger); err != nil {
		return fmt.Errorf("ingest.als: %w", err)
	}
	d.alsListener, err = ingest.NewGRPCServer(cfg.Ingest.ALS.GRPCConfig, ingest.GRPCOptions{
		Key: "ingest.als", Drain: d.als.Drain, Grace: d.grace, Metrics: own, Log: log.Logger,
	})
	if err != nil {
		return err
	}
	d.als.Register(d.alsListener)

	handler, err := promexp.New(cfg.Prometheus.Config, d.table, books)
	if err != nil {
		return fmt.Errorf("prometheus: %w", err)
	}
	if cfg.RunsPolicy() {
		handler.TakeTurns(pace.NewTurns(scrapeShare, scrapeBurst).Take)
	}
	d.metrics = &lastScrape{Handler: handler}
	d.metricsListener, err = ingest.NewHTTPServer(cfg.Prometheus.HTTPConfig, d.metrics.mux(), ingest.HTTPOptions{
		Key: "prometheus", Grace: d.grace, Metrics: own, Log: log.Logger,
	})
	if err != nil {
		return err
	}
	if d.storing, err = newStoring(cfg, d, d.tracing.stores, own); err != nil {
		return err
	}
	d.pushing.table, d.pushing.books = d.table, books
	return nil
}

// grace is how long a stage may take to stop; a reload changes it.
func (d *daemon) grace() time.Duration { return d.cfg.Load().Drain.Timeout }

// instance tells this process from its replicas, as Prometheus does: host:port
// of /metrics.
func (d *daemon) instance() string {
	name, _ := os.Hostname()
	addr := d.admin.Addr()
	if d.metricsListener != nil {
		addr = d.metricsListener.Addr()
	}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return net.JoinHostPort(name, strconv.Itoa(tcp.Port))
	}
	return name
}

// listener is what listen opens.
type listener interface {
	Listen(context.Context) error
	Addr() net.Addr
	Close()
}

// listeners returns all there are, by the name that the log has for them.
func (d *daemon) listeners() (names []string, ls []listener) {
	add := func(name string, l listener) { names, ls = append(names, name), append(ls, l) }
	if d.policing != nil {
		add("ext_authz", d.policing.listener)
		if d.policing.forward != nil {
			add("forward_auth", d.policing.forward)
		}
	}
	if d.limiting != nil {
		add("ratelimit", d.limiting.listener)
	}
	if d.als != nil {
		add("als", d.alsListener)
		add("metrics", d.metricsListener)
	}
	add("admin", d.admin)
	return names, ls
}

// listen opens every listener, or none and says everything that is in the way.
func (d *daemon) listen(ctx context.Context) error {
	var errs []error
	_, all := d.listeners()
	for _, l := range all {
		err := l.Listen(ctx)
		if d.limiting != nil && l == listener(d.limiting.listener) && d.skipLimiting(err) {
			err = nil
		}
		errs = append(errs, err)
	}
	if d.tracing != nil {
		errs = append(errs, d.tracing.listen(ctx, d.cfg.Load(), len(d.src.URIs) == 0))
	}
	errs = append(errs, d.storing.listen(ctx, len(d.src.URIs) == 0))
	if err := errors.Join(errs...); err != nil {
		d.close()
		return err
	}
	d.pushing.instance = d.instance()
	names, ls := d.listeners()
	var attrs []any
	for i, l := range ls {
		attrs = append(attrs, names[i], l.Addr())
	}
	d.log.Info("Listening", attrs...)
	return nil
}

// close releases the listeners of a daemon that will not run.
func (d *daemon) close() {
	_, ls := d.listeners()
	for _, l := range ls {
		l.Close()
	}
	d.tracing.close()
	d.storing.close()
}

// running are the stages in the order in which they are stopped; nil are those
// of a plane that does not run.
type running struct {
	checks, forward, rules, decider, quotas *task
	limiting, limits                        *task
	alsListener, als, table, metrics, admin *task
	history                                 *task
}

// run serves until ctx ends or a stage fails, then drains.
func (d *daemon) run(ctx context.Context, reload <-chan os.Signal) error {
	// As many as there are stages: nobody reads once the first has failed.
	failed := make(chan error, 16)
	if err := d.pushing.start(d.cfg.Load(), failed); err != nil {
		d.close()
		return err
	}
	if d.tracing != nil {
		if err := d.tracing.start(d.cfg.Load(), failed); err != nil {
			d.close()
			return errors.Join(err, d.pushing.stop(d.grace()))
		}
	}
	if err := d.storing.start(d.cfg.Load(), failed); err != nil {
		d.close()
		return errors.Join(err, d.tracing.stop(d.grace()), d.pushing.stop(d.grace()))
	}
	r := running{admin: start("admin", d.admin.Run, failed)}
	if d.quotas != nil {
		r.quotas = start("quota", d.quotas.Run, failed)
	}
	if p := d.policing; p != nil {
		r.decider = start("policy", p.decider.Run, failed)
		r.rules = start("policy rules", p.runRules, failed)
		r.checks = start("ingest.extauthz", p.listener.Run, failed)
		if p.forward != nil {
			r.forward = start("ingest.forward_auth", p.forward.Run, failed)
		}
	}
	if l := d.limiting; l != nil {
		r.limits = start("ratelimit", l.runLimits, failed)
		r.limiting = start("ingest.ratelimit", l.listener.Run, failed)
	}
	if d.als != nil {
		r.metrics = start("prometheus", d.metricsListener.Run, failed)
		r.table = start("red", d.table.Run, failed)
		r.history = start("red history", d.history.Run, failed)
		r.als = start("als", d.als.Run, failed)
		r.alsListener = start("ingest.als", d.alsListener.Run, failed)
	}
	d.ready.Set("serving", nil)
	for {
		select {
		case <-ctx.Done():
			return d.drain(&r)
		case err := <-failed:
			d.log.Error("A stage failed; draining the others", "err", err)
			return errors.Join(err, d.drain(&r))
		case <-reload:
			d.reload(ctx, failed)
		}
	}
}
