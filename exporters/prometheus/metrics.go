package prometheus

import "github.com/prometheus/client_golang/prometheus"

// Names of the metrics.
const (
	MetricScrapes        = "tallygate_prometheus_scrapes_total"
	MetricScrapeDuration = "tallygate_prometheus_scrape_duration_seconds"
)

// LabelOutcome is how a scrape ended.
const LabelOutcome = "outcome"

type metrics struct {
	scrapes  *prometheus.CounterVec
	duration prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		scrapes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricScrapes,
			Help: "Scrapes by outcome: ok, failed (cut half-way or without books), refused (too many at a time).",
		}, []string{LabelOutcome}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    MetricScrapeDuration,
			Help:    "Time from a scrape's request to its last byte, which a slow client makes long.",
			Buckets: []float64{0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60},
		}),
	}
	for _, outcome := range []string{"ok", "failed", "refused"} {
		m.scrapes.WithLabelValues(outcome)
	}
	reg.MustRegister(m.scrapes, m.duration)
	return m
}
