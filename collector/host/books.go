package host

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// SpanBooks is what an exporter says of the spans that it was given.
type SpanBooks struct {
	Sent    int64 // taken by the other side
	Failed  int64 // given up
	Refused int64 // not taken into the queue
	Queued  int64 // in the queue or under way, in the unit of the queue: spans with `sizer: items`
}

// SpanBooks returns the books of every exporter by its id. They stay when the Host
// is shut down, but for Queued.
func (h *Host) SpanBooks() (map[string]SpanBooks, error) {
	var rm metricdata.ResourceMetrics
	if err := h.telemetry.reader.Collect(context.Background(), &rm); err != nil {
		return nil, fmt.Errorf("collecting metrics of exporters: %w", err)
	}
	books := map[string]SpanBooks{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			var points []metricdata.DataPoint[int64]
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				points = d.DataPoints
			case metricdata.Gauge[int64]:
				points = d.DataPoints
			}
			for _, p := range points {
				v, _ := p.Attributes.Value("exporter")
				b := books[v.AsString()]
				switch m.Name {
				case "otelcol_exporter_sent_spans":
					b.Sent += p.Value
				case "otelcol_exporter_send_failed_spans":
					b.Failed += p.Value
				case "otelcol_exporter_enqueue_failed_spans":
					b.Refused += p.Value
				case "otelcol_exporter_queue_size":
					if signal, _ := p.Attributes.Value("data_type"); signal.AsString() == "traces" {
						b.Queued += p.Value
					}
				default:
					continue
				}
				books[v.AsString()] = b
			}
		}
	}
	return books, nil
}
