package descriptors

import "github.com/prometheus/client_golang/prometheus"

// Names of the metrics.
const (
	MetricReloads           = "tallygate_descriptors_reloads_total"
	MetricLastReloadSuccess = "tallygate_descriptors_last_reload_success"
	MetricLoadedTimestamp   = "tallygate_descriptors_loaded_timestamp_seconds"
	MetricLimits            = "tallygate_descriptors_limits"
	MetricDomains           = "tallygate_descriptors_domains"
)

// LabelResult is how a reload ended.
const LabelResult = "result"

const (
	resultSuccess = "success"
	resultFailure = "failure"
)

type metrics struct {
	reloads                           *prometheus.CounterVec // by result
	success, loadedAt, rules, domains prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricReloads, Help: "Times that changed files of rate limits were read again, by result. After a failure the last good ones stay in use.",
		}, []string{LabelResult}),
		success:  gauge(MetricLastReloadSuccess, "1 if the files of rate limits are in use as they are, 0 if they could not be used and the ones before stay."),
		loadedAt: gauge(MetricLoadedTimestamp, "When the rate limits in use were read, Unix time."),
		rules:    gauge(MetricLimits, "Rate limits in use."),
		domains:  gauge(MetricDomains, "Domains that have rate limits."),
	}
	reg.MustRegister(m.reloads, m.success, m.loadedAt, m.rules, m.domains)
	m.reloads.WithLabelValues(resultSuccess)
	m.reloads.WithLabelValues(resultFailure)
	return m
}
