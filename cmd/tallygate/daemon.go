package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	promexp "github.com/tallygate/tallygate/exporters/prometheus"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/als"
	"github.com/tallygate/tallygate/internal/admin"
	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/internal/telemetry"
	"github.com/tallygate/tallygate/red"
)

// daemon is everything that serve runs, from left to right.
type daemon struct {
	cfg atomic.Pointer[config.Config]
	src config.Sources
	log *telemetry.Log

	alsListener     *ingest.GRPCServer
	als             *als.Server
	labels          *relabeler
	table           *red.Table
	metrics         *lastScrape
	metricsListener *ingest.HTTPServer
	pushing         *pushing

	admin   *admin.Server
	ready   *admin.Readiness
	reloads *telemetry.Reloads
}

// newDaemon builds the stages and connects them; nothing runs yet.
func newDaemon(cfg *config.Config, src config.Sources, log *telemetry.Log) (*daemon, error) {
	d := &daemon{src: src, log: log, ready: &admin.Readiness{}}
	d.cfg.Store(cfg)
	d.ready.Set("serving", errors.New("starting"))

	// The books go beside the mesh's metrics on the same endpoint; the rest is
	// about this process only.
	books, own := prometheus.NewRegistry(), telemetry.NewRegistry()
	d.reloads = telemetry.NewReloads(own)

	var err error
	if d.table, err = red.New(cfg.RED, cfg.Labels); err != nil {
		return nil, fmt.Errorf("red: %w", err)
	}
	d.labels = &relabeler{next: d.table}
	if d.als, err = als.New(cfg.Ingest.ALS.Config, cfg.Labels, d.labels, books, log.Logger); err != nil {
		return nil, fmt.Errorf("ingest.als: %w", err)
	}
	d.alsListener, err = ingest.NewGRPCServer(cfg.Ingest.ALS.GRPCConfig, ingest.GRPCOptions{
		Key: "ingest.als", Drain: d.als.Drain, Grace: d.grace, Metrics: own, Log: log.Logger,
	})
	if err != nil {
		return nil, err
	}
	d.als.Register(d.alsListener)

	handler, err := promexp.New(cfg.Prometheus.Config, d.table, books)
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	d.metrics = &lastScrape{Handler: handler}
	d.metricsListener, err = ingest.NewHTTPServer(cfg.Prometheus.HTTPConfig, d.metrics.mux(), ingest.HTTPOptions{
		Key: "prometheus", Grace: d.grace, Metrics: own, Log: log.Logger,
	})
	if err != nil {
		return nil, err
	}
	d.pushing = &pushing{table: d.table, books: books, log: log.Logger}

	d.admin, err = admin.New(cfg.Admin, admin.Options{
		Registerer: own,
		Metrics:    prometheus.Gatherers{own, books},
		Readiness:  d.ready,
		Config:     func() ([]byte, error) { return d.cfg.Load().YAML() },
		Proxies:    d.proxies,
		Log:        log.Logger,
	})
	return d, err
}

// grace is how long a stage may take to stop; a reload changes it.
func (d *daemon) grace() time.Duration { return d.cfg.Load().Drain.Timeout }

// proxies is what doctor asks for.
func (d *daemon) proxies() any {
	return proxiesReport{
		Instance: d.instance(),
		Version:  telemetry.ReadBuild().Version,
		Proxies:  d.als.Connections(),
	}
}

// instance tells this process from its replicas, as Prometheus does: host:port
// of /metrics.
func (d *daemon) instance() string {
	name, _ := os.Hostname()
	if tcp, ok := d.metricsListener.Addr().(*net.TCPAddr); ok {
		return net.JoinHostPort(name, strconv.Itoa(tcp.Port))
	}
	return name
}

// listen opens every listener, or none and says everything that is in the way.
func (d *daemon) listen(ctx context.Context) error {
	err := errors.Join(d.alsListener.Listen(ctx), d.metricsListener.Listen(ctx), d.admin.Listen(ctx))
	if err != nil {
		d.close()
		return err
	}
	d.pushing.instance = d.instance()
	d.log.Info("Listening", "als", d.alsListener.Addr(), "metrics", d.metricsListener.Addr(), "admin", d.admin.Addr())
	return nil
}

// close releases the listeners of a daemon that will not run.
func (d *daemon) close() {
	d.alsListener.Close()
	d.metricsListener.Close()
	d.admin.Close()
}

// running are the stages in the order in which they are stopped.
type running struct {
	alsListener, als, table, metrics, admin *task
}

// run serves until ctx ends or a stage fails, then drains.
func (d *daemon) run(ctx context.Context, reload <-chan os.Signal) error {
	// As many as there are stages: nobody reads once the first has failed.
	failed := make(chan error, 8)
	if err := d.pushing.start(d.cfg.Load(), failed); err != nil {
		d.close()
		return err
	}
	r := running{
		admin:       start("admin", d.admin.Run, failed),
		metrics:     start("prometheus", d.metricsListener.Run, failed),
		table:       start("red", d.table.Run, failed),
		als:         start("als", d.als.Run, failed),
		alsListener: start("ingest.als", d.alsListener.Run, failed),
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
