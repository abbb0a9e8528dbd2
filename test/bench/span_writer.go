package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/internal/envoysim"
	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage/cassandra"
	"github.com/tallygate/tallygate/test/testbed"
)

// writtenMetric counts spans of which every row is in Cassandra.
const writtenMetric = "tallygate_storage_cassandra_written_spans_total"

// spanWriter is a process that takes spans over OTLP and writes them into a
// keyspace of its own.
type spanWriter struct {
	name  string
	spans int // of a round
	paced bool

	load   *spanLoad
	reader *cassandra.Reader
	status string // of Tallygate, empty for Jaeger

	perSecond []float64
	visible   []time.Duration // from being sent to being read, at pacedRate
}

// pacedRate is in spans per second, while it is measured when they can be read.
const pacedRate = 1000

// startTallygate starts one that writes to the node.
func (w *spanWriter) startTallygate(ctx context.Context, binary string, node *testbed.Cassandra, sets ...string) (*server, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	const keyspace = "tallygate"
	s, err := startTallygate(ctx, binary, append([]string{
		fmt.Sprintf("receivers={otlp: {protocols: {grpc: {endpoint: %q}}}}", ports[0]),
		fmt.Sprintf("exporters={cassandra: {schema: {keyspace: %s}, connection: {servers: [%q]}, index: {batch_partitions: 10}}}", keyspace, node.Addr),
		"spans.exporters=[cassandra]", "spans.flush_interval=100ms",
	}, sets...)...)
	if err != nil {
		return nil, err
	}
	w.status = s.status
	if err := w.connect(ctx, ports[0], node, keyspace); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// startJaeger starts one that writes to the node; 0 writers are as many as it has by
// default.
func (w *spanWriter) startJaeger(ctx context.Context, bed *testbed.Bed, node *testbed.Cassandra, writers int) error {
	keyspace := fmt.Sprintf("jaeger_%d", writers)
	if err := createKeyspace(ctx, node, keyspace); err != nil {
		return err
	}
	j, err := bed.StartJaeger(ctx, testbed.JaegerConfig{Cassandra: node.Addr, Keyspace: keyspace, QueueWriters: writers})
	if err != nil {
		return err
	}
	return w.connect(ctx, j.OTLP, node, keyspace)
}

func keyspaceConfig(node *testbed.Cassandra, keyspace string) *cassandra.Config {
	cfg := cassandra.DefaultConfig()
	cfg.Connection.Servers, cfg.Schema.Keyspace = []string{node.Addr}, keyspace
	cfg.Query.Timeout = time.Minute // creating tables takes long on a busy machine
	return cfg
}

// createKeyspace creates Jaeger's schema.
func createKeyspace(ctx context.Context, node *testbed.Cassandra, keyspace string) error {
	cfg := keyspaceConfig(node, keyspace)
	cfg.QueueConfig = configoptional.None[exporterhelper.QueueBatchConfig]()
	f := cassandra.NewFactory()
	e, err := f.CreateTraces(ctx, exportertest.NewNopSettings(f.Type()), cfg)
	if err != nil {
		return err
	}
	if err := e.Start(ctx, componenttest.NewNopHost()); err != nil {
		return err
	}
	return errors.Join(e.ConsumeTraces(ctx, ptrace.NewTraces()), e.Shutdown(ctx))
}

// connect waits until the keyspace can be read.
func (w *spanWriter) connect(ctx context.Context, otlp string, node *testbed.Cassandra, keyspace string) (err error) {
	if w.load, err = dialSpans(otlp); err != nil {
		return err
	}
	if w.reader, err = cassandra.NewReader(keyspaceConfig(node, keyspace)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return testbed.Poll(ctx, time.Second, func(ctx context.Context) error {
		_, err := w.reader.Services(ctx)
		return err
	})
}

func (w *spanWriter) close() error {
	if w.load == nil || w.reader == nil {
		return nil // did not start
	}
	return errors.Join(w.load.close(), w.reader.Close())
}

// write sends n spans at once and returns how many were written per second.
func (w *spanWriter) write(ctx context.Context, n int) (perSecond float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	before := 0.0
	if w.status != "" {
		if before, err = envoysim.ReadCounter(ctx, w.status, writtenMetric); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	sent, err := w.load.send(ctx, n, 0)
	if err != nil {
		return 0, err
	}
	if w.status != "" { // a span can be read before its indexes are there
		err = testbed.Poll(ctx, 50*time.Millisecond, func(ctx context.Context) error {
			got, err := envoysim.ReadCounter(ctx, w.status, writtenMetric)
			if err == nil && got < before+float64(n) {
				err = fmt.Errorf("%.0f of %d spans are written", got-before, n)
			}
			return err
		})
	} else {
		err = w.readable(ctx, 50*time.Millisecond, lasts(sent))
	}
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	return float64(n) / took.Seconds(), w.readable(ctx, 50*time.Millisecond, slices.Concat(sent...))
}

// lasts are the last trace of each request.
func lasts(sent [][]jaegermodel.TraceID) (ids []jaegermodel.TraceID) {
	for _, s := range sent {
		ids = append(ids, s[len(s)-1])
	}
	return ids
}

// readable waits until every span of the traces can be read.
func (w *spanWriter) readable(ctx context.Context, every time.Duration, ids []jaegermodel.TraceID) error {
	for _, id := range ids {
		if err := testbed.Poll(ctx, every, func(ctx context.Context) error {
			t, err := w.reader.Trace(ctx, id)
			if err == nil && len(t.Spans) < traceSpans {
				err = fmt.Errorf("trace %s has %d spans of %d", id, len(t.Spans), traceSpans)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// pace sends spans at pacedRate and measures when they can be read.
func (w *spanWriter) pace(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d+time.Minute)
	defer cancel()
	every := batchSpans * time.Second / pacedRate
	took := make([]time.Duration, int(d/every))
	errs := make([]error, len(took))
	var wg sync.WaitGroup
	began := time.Now()
	for i := range took {
		due := began.Add(time.Duration(i) * every)
		time.Sleep(time.Until(due))
		sent, err := w.load.send(ctx, batchSpans, 0)
		if err != nil {
			return err
		}
		wg.Go(func() {
			errs[i] = w.readable(ctx, 5*time.Millisecond, lasts(sent))
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	w.visible = took
	return errors.Join(errs...)
}
