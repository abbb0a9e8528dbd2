package cassandra

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tallygate/tallygate/storage"
)

func newMetrics(provider metric.MeterProvider, e *traces) (*storage.Metrics, error) {
	s := &e.stats
	m := storage.NewMetrics(provider, "cassandra")
	m.Counter("written_spans", "Spans of which every row is written.", s.written.Load)
	m.Counter("dropped_spans", "Spans that Cassandra refused for good.", s.dropped.Load, attribute.String("reason", "refused"))
	m.Counter("returned_spans", "Spans that went back to the queue: a retry brings them again, or the queue counts them as failed.", s.returned.Load)
	m.Counter("retried_statements", "Statements that were tried again.", s.retried.Load)
	m.Counter("skipped_index_rows", "Index rows that were not written: long, no UTF-8, JSON objects.", s.skipped.Load)
	for i, table := range tableNames {
		m.Counter("statements", "Statements by table, tries again included.", s.statements[i].Load, attribute.String("table", table))
	}
	m.Counter("written_edges", "Edges written to dependencies_v2.", s.edges.Load)
	m.Counter("failed_edge_writes", "Writes to dependencies_v2 that failed; the edges are kept for the next.", s.edgesFailed.Load)
	m.Gauge("in_flight_statements", "Statements that wait for Cassandra.", func() int64 { return int64(len(e.writer.inFlight)) })
	return m, m.Register()
}
