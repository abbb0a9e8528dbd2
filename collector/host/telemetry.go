package host

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// prefixes begin the names of the components' own metrics.
var prefixes = [...]string{"otelcol_exporter_", "otelcol_receiver_", "tallygate_"}

// telemetry gives components a meter whose counters and gauges it collects for
// Prometheus, under the names that a Collector gives them.
type telemetry struct {
	reg    prometheus.Registerer // nil: nobody wants them
	reader *sdk.ManualReader
	meters *sdk.MeterProvider
	live   atomic.Bool
}

func newTelemetry(reg prometheus.Registerer) *telemetry {
	t := &telemetry{reg: reg, reader: sdk.NewManualReader()}
	t.meters = sdk.NewMeterProvider(sdk.WithReader(t.reader), sdk.WithView(noHistograms))
	return t
}

// noHistograms turns histograms off, which nobody collects: for one of them a
// queue measures how long every request would be in protobuf.
var noHistograms = sdk.NewView(sdk.Instrument{Name: "*", Kind: sdk.InstrumentKindHistogram}, sdk.Stream{Aggregation: sdk.AggregationDrop{}})

func (t *telemetry) provider() metric.MeterProvider { return t.meters }

// register makes the metrics appear. The collector is one without descriptions,
// because only the exporters know which metrics there are; a registry does not
// let go of such, so unregister empties it.
func (t *telemetry) register() error {
	if t.reg == nil {
		return nil
	}
	t.live.Store(true)
	return t.reg.Register(&collector{t})
}

func (t *telemetry) unregister() { t.live.Store(false) }

type collector struct{ *telemetry }

// Describe implements [prometheus.Collector].
func (*collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	if !c.live.Load() {
		return
	}
	var rm metricdata.ResourceMetrics
	if err := c.reader.Collect(context.Background(), &rm); err != nil {
		ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), fmt.Errorf("collecting metrics of exporters: %w", err))
		return
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if !ours(m.Name) {
				continue // of the HTTP and gRPC libraries
			}
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				points(ch, m, d.DataPoints, d.IsMonotonic)
			case metricdata.Sum[float64]:
				points(ch, m, d.DataPoints, d.IsMonotonic)
			case metricdata.Gauge[int64]:
				points(ch, m, d.DataPoints, false)
			case metricdata.Gauge[float64]:
				points(ch, m, d.DataPoints, false)
			}
		}
	}
}

func ours(name string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func points[N int64 | float64](ch chan<- prometheus.Metric, m metricdata.Metrics, ps []metricdata.DataPoint[N], counter bool) {
	name, kind := m.Name, prometheus.GaugeValue
	if counter {
		name, kind = strings.TrimSuffix(name, "_total")+"_total", prometheus.CounterValue
	}
	for _, p := range ps {
		keys, values := labels(p.Attributes)
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, m.Description, keys, nil), kind, float64(p.Value), values...)
	}
}

func labels(set attribute.Set) (keys, values []string) {
	for it := set.Iter(); it.Next(); {
		kv := it.Attribute()
		keys = append(keys, strings.NewReplacer(".", "_", "-", "_").Replace(string(kv.Key)))
		values = append(values, kv.Value.String())
	}
	return keys, values
}
