package jaeger

import (
	"errors"

	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/otel/metric"
)

// metrics are beside those of every exporter (otelcol_exporter_*).
type metrics struct {
	packets metric.Int64Counter
	cut     metric.Int64Counter
}

func newMetrics(set exporter.Settings) (*metrics, error) {
	meter := set.MeterProvider.Meter("github.com/tallygate/tallygate/exporters/jaeger")
	packets, err := meter.Int64Counter("tallygate_jaeger_packets", metric.WithDescription("UDP packets sent."))
	cut, err2 := meter.Int64Counter("tallygate_jaeger_truncated_spans", metric.WithDescription("Spans too large for a UDP packet, of which logs or tags were left out."))
	return &metrics{packets, cut}, errors.Join(err, err2)
}
