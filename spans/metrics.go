package spans

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Names of the metrics. Those by exporter are the books: sampled + recovered =
// exported + dropped + queued.
const (
	MetricReceived    = "tallygate_spans_received_total"
	MetricNative      = "tallygate_spans_native_total"
	MetricSelected    = "tallygate_spans_selected_total"
	MetricRateLimited = "tallygate_spans_rate_limited_total"
	MetricSampled     = "tallygate_spans_sampled_total"
	MetricRecovered   = "tallygate_spans_recovered_total"
	MetricExported    = "tallygate_spans_exported_total"
	MetricDropped     = "tallygate_spans_dropped_total"
	MetricQueued      = "tallygate_spans_queued"
)

// Names of their labels.
const (
	LabelReason   = "reason"
	LabelExporter = "exporter"
)

type metrics struct {
	selected [numWhys]atomic.Uint64
	over     [numWhys]atomic.Uint64
	native   atomic.Uint64
	received prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{received: prometheus.NewCounter(prometheus.CounterOpts{
		Name: MetricReceived,
		Help: "Spans received from proxies and applications that trace.",
	})}
	collectors := []prometheus.Collector{m.received, m.of(&m.native,
		MetricNative, "Requests that would have been sampled, but their proxy exported its own span (mode auto).", nil)}
	for w := range numWhys {
		labels := prometheus.Labels{LabelReason: w.String()}
		collectors = append(collectors,
			m.of(&m.selected[w], MetricSelected, "Spans made of access-log entries, by the reason for which they were sampled.", labels),
			m.of(&m.over[w], MetricRateLimited,
				"Times that a reason to sample was over its rate. The request may have been sampled for another reason.", labels))
	}
	for _, c := range collectors {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) of(v *atomic.Uint64, name, help string, labels prometheus.Labels) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
		func() float64 { return float64(v.Load()) })
}

// limited counts reasons that were over their rate.
func (m *metrics) limited(set reasons) {
	for w := why(0); set != 0; w, set = w+1, set>>1 {
		if set&1 != 0 {
			m.over[w].Add(1)
		}
	}
}
