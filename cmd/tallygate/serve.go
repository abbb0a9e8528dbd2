package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/internal/telemetry"
)

func newServeCommand() *cobra.Command {
	var src config.Sources
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Answer checks, receive access logs and serve metrics",
		Long: `Serve answers checks, receives access logs and serves metrics until SIGTERM or
SIGINT; then it drains, so that nothing that was counted is lost. A second signal exits at once.
SIGHUP reloads the configuration.

Without --config everything listens on loopback, and the policy allows every
request. With --config checks are answered only if there is a policy section.`,
		Example: `  tallygate serve
  tallygate serve --config tallygate.yaml
  tallygate serve --config base.yaml --config site.yaml --set log.level=debug
  tallygate serve --set ingest.als.endpoint=0.0.0.0:9001 --set 'red.buckets=[5, 50, 500]'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), src, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addSources(cmd, &src)
	return cmd
}

// serve runs the process until a signal or a failure.
//
//	                       ┌────────────── tallygate ───────────────┐
//	Envoy ──Check─▶ policing: listener ▶ server ▶ decider ◀ rules ◀── .rego, bundles
//	nginx … HTTP ─▶ policing: forward ──┘            └▶ quotas      policy plane
//	          :9191, :9192                          ┌───┘
//	Envoy ──RLS───▶ limiting: listener ▶ server ────┴ limits ◀─────── envoyproxy/ratelimit's YAML
//	          :8081
//	Envoy ──ALS───▶ alsListener ▶ als ▶ labels ▶ table ┬▶ metrics ──▶ metricsListener ◀─ Prometheus
//	          :9001        │ └▶ tracing: spans ─┐      └▶ pushing ──▶ hosted exporters ─▶ OTLP, remote write, …
//	Zipkin, OTLP ─▶ tracing: receivers ─────────┴▶ hosted exporters ─▶ Jaeger, Cassandra, the local store, …
//	Grafana ─HTTP─▶ storing: Jaeger's query API ▶ local store, Cassandra
//	         :16686
//	people ──HTTP─▶ admin ◀┴─ readiness, own metrics, configuration, connections
//	          :8282
//
// At the end it is taken down in the same direction: see drain.go.
func serve(ctx context.Context, src config.Sources, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(stop)
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)

	cfg, err := loadConfig(ctx, src)
	if err != nil {
		return err
	}
	log := telemetry.NewLog(cfg.Log, stderr)
	if limit := telemetry.SetMemoryLimit(); limit > 0 {
		log.Info("Memory limit set from the cgroup", "bytes", limit)
	}
	telemetry.KeepHeadroom()
	for _, w := range cfg.Warnings() {
		log.Warn(w.Message, "key", w.Path)
	}
	d, err := newDaemon(cfg, src, log)
	if err != nil {
		return err
	}
	if err := d.listen(ctx); err != nil {
		return err
	}
	if len(src.URIs) == 0 && d.policing != nil && d.als != nil {
		d.greet(stdout)
	}
	done := make(chan struct{})
	defer close(done)
	go exitOnSignal(done, stop, cancel, log)
	return d.run(ctx, reload)
}

// sameSignal is the time in which a second signal is the first one again:
// timeout(1) and terminals send it to the process and to its group.
const sameSignal = 300 * time.Millisecond

// exitOnSignal begins the drain at the first signal and ends the process at the
// second.
func exitOnSignal(done <-chan struct{}, stop <-chan os.Signal, drain func(), log *telemetry.Log) {
	var began time.Time
	for {
		select {
		case <-done:
			return
		case s := <-stop:
			switch {
			case began.IsZero():
				began = time.Now()
				log.Info("Draining; a second signal exits at once", "signal", s.String())
				drain()
			case time.Since(began) > sameSignal:
				log.Warn("Exiting at once: what was not yet scraped or pushed is lost")
				os.Exit(exitFailed)
			}
		}
	}
}

// greet says where to point what, to who runs it for the first time.
func (d *daemon) greet(w io.Writer) {
	limits := ""
	if d.limiting != nil {
		limits = fmt.Sprintf("\n              ask for rate limits (envoy.filters.http.ratelimit) at %s; there are none", d.limiting.listener.Addr())
	}
	fmt.Fprintf(w, `Tallygate %s is up.
  Envoy       ask before each request (envoy.filters.http.ext_authz) at %s; the policy allows everything
              stream access logs (envoy.access_loggers.http_grpc) to %s; complete configurations: examples/%s
  Prometheus  scrape http://%s/metrics
  Grafana     tallygate dashboards export --dir grafana writes boards and alerts; Istio's dashboards work as they are
  Who reports tallygate doctor
%s`, telemetry.ReadBuild().Version, d.policing.listener.Addr(), d.alsListener.Addr(), limits, d.metricsListener.Addr(), d.storing.greeting())
}

func addSources(cmd *cobra.Command, src *config.Sources) {
	cmd.Flags().StringArrayVarP(&src.URIs, "config", "c", nil, "configuration `file`; repeats and merges; also env:NAME and yaml:text")
	cmd.Flags().StringArrayVar(&src.Sets, "set", nil, "override one key: `key.path=value`, the value in YAML; repeats")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

// loadConfig returns a configuration that every package is content with.
func loadConfig(ctx context.Context, src config.Sources) (*config.Config, error) {
	cfg, err := config.Load(ctx, src, checkExporters, checkStore)
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("the configuration is not valid:\n%w", err)}
	}
	return cfg, nil
}
