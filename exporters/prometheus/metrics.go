package prometheus

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	scrapes  *prometheus.CounterVec
	duration prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		scrapes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tallygate_prometheus_scrapes_total",
			Help: "Scrapes by outcome: ok, failed (cut half-way or without books), refused (too many at a time).",
		}, []string{"outcome"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tallygate_prometheus_scrape_duration_seconds",
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
