package cassandra

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

// traces is the exporter.
type traces struct {
	cfg    *Config
	set    exporter.Settings
	client *client
	writer *writer
	edges  *storage.Edges
	stats  stats
	m      *storage.Metrics

	stop chan struct{}
	done chan struct{} // edges have been written for the last time
}

func newTraces(cfg *Config, set exporter.Settings) *traces {
	e := &traces{cfg: cfg, set: set, client: &client{cfg: cfg}, edges: storage.NewEdges(100_000), stop: make(chan struct{}), done: make(chan struct{})}
	e.writer = newWriter(cfg, e.client, &e.stats)
	return e
}

// start does not wait for Cassandra: spans do, in the queue. It is asked for at
// once, so that a schema is there, or what is wrong is known, before the first.
func (e *traces) start(context.Context, component.Host) (err error) {
	if e.m, err = newMetrics(e.set.MeterProvider, e); err != nil {
		return err
	}
	go e.run()
	return nil
}

// run connects, and then writes edges.
func (e *traces) run() {
	defer close(e.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-e.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	said := ""
	for {
		_, err := e.client.get(ctx)
		if err == nil {
			break
		}
		if text := err.Error(); text != said && ctx.Err() == nil {
			said = text
			e.set.Logger.Warn("No Cassandra yet; spans wait in the queue", zap.Error(err))
		}
		if !sleep(ctx, time.Second) {
			return
		}
	}
	e.writeEdges()
}

// push returns nil once all rows are written. Its error holds exactly the spans
// that are worth a retry.
func (e *traces) push(ctx context.Context, td ptrace.Traces) error {
	spans := jaegermodel.FromTraces(td)
	o, err := e.writer.write(ctx, spans)
	if err != nil {
		return err
	}
	if e.cfg.Dependencies.Enabled {
		e.edges.Observe(written(spans, o))
	}
	if len(o.refused) > 0 {
		e.set.Logger.Debug("Cassandra refused spans", zap.Int("spans", len(o.refused)), zap.Error(o.last))
	}
	if len(o.again) > 0 {
		return consumererror.NewTraces(fmt.Errorf("cassandra: %w", o.err), only(td, o.again))
	}
	return nil
}

// written are the spans that nobody will write again.
func written(spans []*jaegermodel.Span, o *outcome) []*jaegermodel.Span {
	if len(o.again)+len(o.refused) == 0 {
		return spans
	}
	var out []*jaegermodel.Span
	for i, s := range spans {
		_, again := o.again[i]
		_, refused := o.refused[i]
		if !again && !refused {
			out = append(out, s)
		}
	}
	return out
}

// only is td with those spans whose place is in keep.
func only(td ptrace.Traces, keep map[int]struct{}) ptrace.Traces {
	out := ptrace.NewTraces()
	td.CopyTo(out)
	i := -1
	out.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
		rs.ScopeSpans().RemoveIf(func(ss ptrace.ScopeSpans) bool {
			ss.Spans().RemoveIf(func(ptrace.Span) bool {
				i++
				_, kept := keep[i]
				return !kept
			})
			return ss.Spans().Len() == 0
		})
		return rs.ScopeSpans().Len() == 0
	})
	return out
}

// writeEdges writes the edges of every interval, and the last at the end.
func (e *traces) writeEdges() {
	if !e.cfg.Dependencies.Enabled {
		return
	}
	tick := time.NewTicker(e.cfg.Dependencies.Interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			e.flushEdges()
		case <-e.stop:
			e.flushEdges()
			return
		}
	}
}

// flushEdges writes what was counted; what cannot be written stays counted.
func (e *traces) flushEdges() {
	list := e.edges.Take()
	if len(list) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.cfg.Query.Timeout)
	defer cancel()
	err := insertDependencies(ctx, e.client, list)
	if err != nil {
		e.edges.Restore(list)
		e.stats.edgesFailed.Add(1)
		e.set.Logger.Debug("Writing edges", zap.Error(err))
		return
	}
	e.stats.edges.Add(int64(len(list)))
}

// insertDependencies writes edges as of now; replicas that write at once must not
// meet in one millisecond.
func insertDependencies(ctx context.Context, c *client, list []storage.Dependency) error {
	session, err := c.get(ctx)
	if err != nil {
		return err
	}
	rows := make([]dependency, len(list))
	for i, d := range list {
		rows[i] = dependency{d.Parent, d.Child, sourceJaeger, int64(d.Calls)}
	}
	ts := time.Now().UTC().Add(-time.Duration(rand.Int64N(int64(time.Second)))).Truncate(time.Millisecond)
	const insert = `INSERT INTO dependencies_v2 (ts_bucket, ts, dependencies) VALUES (?, ?, ?)`
	return session.Query(insert, ts.Truncate(day), ts, rows).ExecContext(ctx)
}

// day is the bucket of dependencies_v2.
const day = 24 * time.Hour

func (e *traces) shutdown(ctx context.Context) error {
	if e.m == nil {
		return nil // never started
	}
	close(e.stop)
	select {
	case <-e.done:
	case <-ctx.Done():
	}
	e.m.Unregister()
	e.client.close()
	<-e.done
	return nil
}
