package tap

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	watchers    prometheus.Gauge
	shown, kept prometheus.Counter
	missed      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		watchers: prometheus.NewGauge(prometheus.GaugeOpts{Name: "tallygate_tap_watchers", Help: "Those who watch the tap now."}),
		shown:    counter("tallygate_tap_entries_shown_total", "Entries that were given to who watches."),
		missed:   counter("tallygate_tap_entries_missed_total", "Entries that passed the filter of one who watches and were not given: too many per second, or a watcher that does not keep up."),
		kept:     counter("tallygate_tap_failures_kept_total", "Failures and denials that were kept as the last ones of their edge."),
	}
	reg.MustRegister(m.watchers, m.shown, m.missed, m.kept)
	return m
}
