package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/collector/host"
	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/internal/telemetry"
	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/spans"
	"github.com/tallygate/tallygate/storage/local"
)

// tracing makes spans and takes those of proxies that trace, and has hosted
// exporters that send them, which a reload replaces as a whole.
//
//	als ▶ withSpans ─┬▶ table
//	                 └▶ sink ─▶ hosted exporters ─▶ Jaeger, Cassandra, the local store, …
//	hosted receivers ───┘
type tracing struct {
	sink *spans.Sink
	log  *slog.Logger
	reg  prometheus.Registerer
	task *task

	stores    *local.Stores
	receivers *host.Host // they run as long as the process: nil before

	mu   sync.Mutex // guards what the books are read from
	host *host.Host // nil without exporters
	to   []*spanExporter
	past map[string]account // by exporter, of those that are gone
}

// spanExporter is an exporter that spans are sent to.
type spanExporter struct {
	*spans.Destination
	keeps     bool  // its queue is on disk
	recovered int64 // what was in the queue when it started
	lost      int64 // by the disk

	seen  account // the last that was different
	since time.Time
}

func newTracing(cfg *config.Config, books prometheus.Registerer, log *slog.Logger) (*tracing, error) {
	t := &tracing{log: log, reg: books, past: map[string]account{}, stores: local.NewStores(log)}
	var err error
	t.sink, err = spans.New(cfg.Spans, spans.Options{Version: telemetry.ReadBuild().Version, Metrics: books, Log: log})
	if err != nil {
		return nil, fmt.Errorf("spans: %w", err)
	}
	return t, books.Register(&spanBooks{t})
}

// withSpans makes spans of what was counted.
type withSpans struct {
	next mesh.Sink
	sink *spans.Sink
}

// Consume implements [mesh.Sink].
func (w *withSpans) Consume(ctx context.Context, b *mesh.Batch) error {
	if err := w.next.Consume(ctx, b); err != nil {
		return err
	}
	return w.sink.Consume(ctx, b)
}

// spanExporters returns the exporters that spans are sent to, with the queue that
// they have not.
func spanExporters(cfg *config.Config) map[string]any {
	q := cfg.Spans.Queue
	queue := map[string]any{"enabled": true, "sizer": "items", "queue_size": q.Size, "num_consumers": q.Consumers}
	if q.Storage != "" {
		queue["storage"] = q.Storage
	}
	sections := map[string]any{}
	for _, id := range cfg.Spans.Exporters {
		if section, ok := cfg.Exporters[id]; ok {
			sections[id] = host.WithQueue(id, section, queue, host.BuiltIn(nil))
		}
	}
	return sections
}

// onDisk reports whether the queue of an exporter's section is.
func onDisk(section any) bool {
	m, _ := section.(map[string]any)
	queue, _ := m["sending_queue"].(map[string]any)
	return queue["storage"] != nil
}

func (t *tracing) build(cfg *config.Config) (*host.Host, []*spanExporter, error) {
	sections := spanExporters(cfg)
	h, err := host.New(sections, host.Settings{
		Factories: host.BuiltIn(t.stores), Extensions: cfg.Extensions,
		Version: telemetry.ReadBuild().Version, Log: t.log, Metrics: t.reg,
	})
	if err != nil {
		return nil, nil, err
	}
	var to []*spanExporter
	for _, id := range cfg.Spans.Exporters {
		c, err := h.Traces(id)
		if err != nil {
			return nil, nil, fmt.Errorf("spans.exporters: %w", err)
		}
		to = append(to, &spanExporter{Destination: &spans.Destination{ID: id, Traces: c}, keeps: onDisk(sections[id])})
	}
	return h, to, nil
}

// start starts the exporters, and the sink if it does not run yet.
func (t *tracing) start(cfg *config.Config, failed chan<- error) error {
	h, to, err := t.build(cfg)
	if err != nil {
		return err
	}
	if err := t.use(cfg, h, to); err != nil {
		return err
	}
	t.task = start("spans", t.sink.Run, failed)
	return nil
}

// use starts built exporters and lets the sink send to them.
func (t *tracing) use(cfg *config.Config, h *host.Host, to []*spanExporter) error {
	if len(to) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Drain.Timeout)
	defer cancel()
	if err := h.Start(ctx); err != nil {
		return fmt.Errorf("exporters: %w", err)
	}
	recovered, err := recoveredBy(h)
	if err != nil {
		return errors.Join(err, h.Shutdown(ctx))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var destinations []*spans.Destination
	for _, e := range to {
		if e.keeps {
			t.past[e.ID], e.recovered = t.past[e.ID].reopened(recovered[e.ID])
		}
		destinations = append(destinations, e.Destination)
	}
	t.host, t.to = h, to
	t.sink.SetDestinations(destinations)
	return nil
}

// recoveredBy returns how many spans were in the queues of exporters that have
// just started. They may be sending already.
func recoveredBy(h *host.Host) (map[string]int64, error) {
	total := func() (map[string]int64, error) {
		books, err := h.SpanBooks()
		if err != nil {
			return nil, err
		}
		sums := map[string]int64{}
		for id, b := range books {
			sums[id] = b.Sent + b.Failed + b.Queued
		}
		return sums, nil
	}
	for {
		// Between being sent and leaving the queue a span is in both.
		a, err := total()
		if err != nil {
			return nil, err
		}
		b, err := total()
		if err != nil || maps.Equal(a, b) {
			return b, err
		}
	}
}

// leave takes the exporters away from the sink, drains their queues and stops
// them, all before ctx ends.
func (t *tracing) leave(ctx context.Context) error {
	t.mu.Lock()
	h, to := t.host, t.to
	t.mu.Unlock()
	if h == nil {
		return nil
	}
	t.sink.SetDestinations(nil)
	running, runningErr := h.SpanBooks()
	err := h.Shutdown(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	books, bookErr := h.SpanBooks()
	for _, e := range to {
		t.past[e.ID] = t.past[e.ID].closed(t.flows(e), running[e.ID], books[e.ID], e)
	}
	t.host, t.to = nil, nil
	return errors.Join(runningErr, err, bookErr)
}

// listen starts the receivers. With lenient one whose port is taken is left out,
// as there may be a Jaeger next door.
func (t *tracing) listen(ctx context.Context, cfg *config.Config, lenient bool) error {
	h, err := host.New(nil, host.Settings{
		Factories: host.BuiltIn(t.stores), Receivers: cfg.Receivers, Extensions: cfg.Extensions,
		Version: telemetry.ReadBuild().Version, Log: t.log, Metrics: t.reg,
	})
	if err != nil || len(h.Receivers()) == 0 {
		return err
	}
	if err := h.Start(ctx); err != nil {
		return fmt.Errorf("receivers: %w", err)
	}
	for _, id := range h.Receivers() {
		err := h.Receive(ctx, id, t.sink)
		if lenient && errors.Is(err, syscall.EADDRINUSE) {
			t.log.Warn("A receiver of spans is left out: its port is taken", "receiver", id, "err", err)
			continue
		}
		if err != nil {
			return errors.Join(err, h.Shutdown(ctx))
		}
		t.log.Info("Taking spans", "receiver", id)
	}
	t.receivers = h
	return nil
}

// close stops the receivers of a process that will not run.
func (t *tracing) close() {
	if t == nil || t.receivers == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := t.receivers.Shutdown(ctx); err != nil {
		t.log.Warn("Stopping receivers", "err", err)
	}
}

// stop takes no more spans, sends what there is and drains the exporters, all
// within limit.
func (t *tracing) stop(limit time.Duration) error {
	if t == nil || t.task == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var err error
	if t.receivers != nil {
		err = t.receivers.Shutdown(ctx)
	}
	t.task.cancel()
	select {
	case <-t.task.done:
		err = errors.Join(err, t.task.err)
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("spans: not everything was handed to the exporters within %s", limit))
	}
	return errors.Join(err, t.leave(ctx))
}

// reload applies a new configuration: it builds the new exporters, stops the old
// and starts the new. If these cannot be started the old start again.
func (t *tracing) reload(before, after *config.Config, exporters bool) error {
	if !exporters {
		return t.sink.Reconfigure(after.Spans)
	}
	h, to, err := t.build(after)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), before.Drain.Timeout)
	defer cancel()
	if err := t.leave(ctx); err != nil {
		t.log.Warn("Stopping the old exporters of spans", "err", err)
	}
	if err := t.use(after, h, to); err != nil {
		h, to, back := t.build(before)
		if back == nil {
			back = t.use(before, h, to)
		}
		return errors.Join(err, back)
	}
	return t.sink.Reconfigure(after.Spans)
}
