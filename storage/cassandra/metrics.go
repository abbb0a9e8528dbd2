package cassandra

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are read from the exporter when somebody collects them.
type metrics struct{ registration metric.Registration }

func newMetrics(provider metric.MeterProvider, e *traces) (*metrics, error) {
	meter := provider.Meter("github.com/tallygate/tallygate/storage/cassandra")
	var errs []error
	counter := func(name, help string) metric.Int64ObservableCounter {
		c, err := meter.Int64ObservableCounter("tallygate_storage_cassandra_"+name, metric.WithDescription(help))
		errs = append(errs, err)
		return c
	}
	gauge := func(name, help string) metric.Int64ObservableGauge {
		g, err := meter.Int64ObservableGauge("tallygate_storage_cassandra_"+name, metric.WithDescription(help))
		errs = append(errs, err)
		return g
	}
	written := counter("written_spans", "Spans of which every row is written.")
	dropped := counter("dropped_spans", "Spans that Cassandra refused for good.")
	returned := counter("returned_spans", "Spans that went back to the queue: a retry brings them again, or the queue counts them as failed.")
	retried := counter("retried_statements", "Statements that were tried again.")
	skipped := counter("skipped_index_rows", "Index rows that were not written: long, no UTF-8, JSON objects.")
	statements := counter("statements", "Statements by table, tries again included.")
	edges := counter("written_edges", "Edges written to dependencies_v2.")
	edgesFailed := counter("failed_edge_writes", "Writes to dependencies_v2 that failed; the edges are kept for the next.")
	inFlight := gauge("in_flight_statements", "Statements that wait for Cassandra.")
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	refused := metric.WithAttributes(attribute.String("reason", "refused"))
	var byTable [numStatements]metric.MeasurementOption
	for i := range byTable {
		byTable[i] = metric.WithAttributes(attribute.String("table", tableNames[i]))
	}
	reg, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := &e.stats
		o.ObserveInt64(written, s.written.Load())
		o.ObserveInt64(dropped, s.dropped.Load(), refused)
		o.ObserveInt64(returned, s.returned.Load())
		o.ObserveInt64(retried, s.retried.Load())
		o.ObserveInt64(skipped, s.skipped.Load())
		for i := range byTable {
			o.ObserveInt64(statements, s.statements[i].Load(), byTable[i])
		}
		o.ObserveInt64(edges, s.edges.Load())
		o.ObserveInt64(edgesFailed, s.edgesFailed.Load())
		o.ObserveInt64(inFlight, int64(len(e.writer.inFlight)))
		return nil
	}, written, dropped, returned, retried, skipped, statements, edges, edgesFailed, inFlight)
	return &metrics{reg}, err
}

func (m *metrics) unregister() {
	if m.registration != nil {
		_ = m.registration.Unregister()
	}
}
