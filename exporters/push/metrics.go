package push

import "github.com/prometheus/client_golang/prometheus"

// Names of the metrics.
const (
	MetricPoints   = "tallygate_push_points_total"
	MetricDuration = "tallygate_push_duration_seconds"
)

// Names of their labels.
const (
	LabelExporter = "exporter"
	LabelResult   = "result"
)

type metrics struct {
	points   *prometheus.CounterVec
	duration prometheus.Histogram
}

const (
	accepted = "accepted"
	refused  = "refused"
)

func newMetrics(reg prometheus.Registerer, to []Destination) (*metrics, error) {
	m := &metrics{
		points: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricPoints,
			Help: "Data points handed to exporters, by exporter and by what it said.",
		}, []string{LabelExporter, LabelResult}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    MetricDuration,
			Help:    "Time that one push of all points took.",
			Buckets: []float64{.001, .01, .1, .5, 1, 5, 10, 30, 60},
		}),
	}
	for _, d := range to {
		m.points.WithLabelValues(d.ID, accepted)
		m.points.WithLabelValues(d.ID, refused)
	}
	return m, m.register(reg)
}

func (m *metrics) register(reg prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.points, m.duration} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}
