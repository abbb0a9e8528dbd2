package dist

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/tallygate/tallygate/exporters/push"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/als"
	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/red"
	"github.com/tallygate/tallygate/spans"
)

// Type is the type of the receiver in a configuration.
var Type = component.MustNewType("tallygate_als")

// NewALSFactory returns the factory of the receiver. Its metrics and its traces
// pipeline share one listener.
func NewALSFactory() receiver.Factory {
	var mu sync.Mutex
	shared := map[*Config]*alsReceiver{}
	get := func(set receiver.Settings, cfg component.Config) *alsReceiver {
		mu.Lock()
		defer mu.Unlock()
		c := cfg.(*Config)
		if shared[c] == nil {
			shared[c] = &alsReceiver{cfg: c, set: set, gone: func() {
				mu.Lock()
				defer mu.Unlock()
				delete(shared, c)
			}}
		}
		return shared[c]
	}
	return receiver.NewFactory(Type,
		func() component.Config { return DefaultConfig() },
		receiver.WithMetrics(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
			r := get(set, cfg)
			r.metrics = next
			return r, nil
		}, component.StabilityLevelBeta),
		receiver.WithTraces(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Traces) (receiver.Traces, error) {
			r := get(set, cfg)
			r.traces = next
			return r, nil
		}, component.StabilityLevelBeta),
	)
}

// alsReceiver is the way from access logs to pipelines:
//
//	Envoy ─▶ listener ▶ server ─┬▶ table ▶ pusher ─▶ metrics pipeline
//	                            └▶ sink ───────────▶ traces pipeline
type alsReceiver struct {
	cfg     *Config
	set     receiver.Settings
	metrics consumer.Metrics
	traces  consumer.Traces
	gone    func()

	once, stop sync.Once
	startErr   error
	stopErr    error

	stages []*stage
}

// stage is something that runs until it is told to end.
type stage struct {
	cancel context.CancelFunc
	done   chan error
}

// Start implements [component.Component]; the second pipeline finds it done.
func (r *alsReceiver) Start(ctx context.Context, host component.Host) error {
	r.once.Do(func() { r.startErr = r.start(ctx, host) })
	return r.startErr
}

// fanOut gives every batch to each of its sinks.
type fanOut []mesh.Sink

// Consume implements [mesh.Sink].
func (f fanOut) Consume(ctx context.Context, b *mesh.Batch) error {
	var errs []error
	for _, s := range f {
		errs = append(errs, s.Consume(ctx, b))
	}
	return errors.Join(errs...)
}

func (r *alsReceiver) start(ctx context.Context, host component.Host) error {
	log := slog.New(toZap{r.set.Logger})
	reg := prometheus.NewRegistry() // a Collector's own metrics are OpenTelemetry's
	version := r.set.BuildInfo.Version
	var sinks fanOut
	var runs []func(context.Context) error // in the order in which they end last to first
	if r.metrics != nil {
		table, err := red.New(r.cfg.RED, r.cfg.Labels)
		if err != nil {
			return err
		}
		name, _, _ := net.SplitHostPort(r.cfg.GRPC.Endpoint)
		pusher, err := push.New(r.cfg.Push, table, push.Options{
			To: []push.Destination{{ID: "pipeline", Metrics: r.metrics}}, Version: version, Instance: name, Metrics: reg, Log: log,
		})
		if err != nil {
			return err
		}
		sinks, runs = append(sinks, table), append(runs, table.Run, pusher.Run)
	}
	if r.traces != nil {
		cfg := r.cfg.Spans
		cfg.Exporters = []string{"pipeline"}
		sink, err := spans.New(cfg, spans.Options{Version: version, Metrics: reg, Log: log})
		if err != nil {
			return err
		}
		sink.SetDestinations([]*spans.Destination{{ID: "pipeline", Traces: r.traces}})
		sinks, runs = append(sinks, sink), append(runs, sink.Run)
	}
	server, err := als.New(r.cfg.ALS, r.cfg.Labels, sinks, reg, log)
	if err != nil {
		return err
	}
	listener, err := ingest.NewGRPCServer(r.cfg.GRPC, ingest.GRPCOptions{
		Key: "tallygate_als", Drain: server.Drain, Grace: func() time.Duration { return 10 * time.Second }, Metrics: reg, Log: log,
	})
	if err != nil {
		return err
	}
	server.Register(listener)
	if err := listener.Listen(ctx); err != nil {
		return err
	}
	r.set.Logger.Info("Taking access logs", zap.Stringer("endpoint", listener.Addr()))
	for _, run := range append(runs, server.Run, listener.Run) {
		r.stages = append(r.stages, startStage(run, host))
	}
	return nil
}

func startStage(run func(context.Context) error, host component.Host) *stage {
	ctx, cancel := context.WithCancel(context.Background())
	s := &stage{cancel: cancel, done: make(chan error, 1)}
	go func() {
		err := run(ctx)
		if err != nil && ctx.Err() == nil {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
		}
		s.done <- err
	}()
	return s
}

// Shutdown ends the stages in the direction of the data: streams, then what they
// were counted into, which hands on what there is.
func (r *alsReceiver) Shutdown(context.Context) error {
	r.stop.Do(func() {
		defer r.gone()
		for i := len(r.stages) - 1; i >= 0; i-- {
			r.stages[i].cancel()
			r.stopErr = errors.Join(r.stopErr, <-r.stages[i].done)
		}
	})
	return r.stopErr
}
