package opa

import "github.com/prometheus/client_golang/prometheus"

// Names of the metrics.
const (
	MetricActivations        = "tallygate_opa_activations_total"
	MetricRefusals           = "tallygate_opa_refusals_total"
	MetricCompileDuration    = "tallygate_opa_compile_duration_seconds"
	MetricLastLoadSuccessful = "tallygate_opa_last_load_successful"
	MetricLoadedTimestamp    = "tallygate_opa_loaded_timestamp_seconds"
)

// LabelSource is where policies come from.
const LabelSource = "source"

// Where a generation comes from, as the metrics name it.
const (
	fromFiles   = "files"
	fromBundles = "bundles"
)

type metrics struct {
	activations prometheus.Counter
	refusals    *prometheus.CounterVec // by source
	compiling   prometheus.Histogram
	success     prometheus.Gauge
	loaded      prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		activations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: MetricActivations,
			Help: "Generations of policies that went into use.",
		}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricRefusals,
			Help: "Changes of policies that were refused, by source: the last good generation stays.",
		}, []string{LabelSource}),
		compiling: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    MetricCompileDuration,
			Help:    "Time to read, compile and check a generation.",
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30},
		}),
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: MetricLastLoadSuccessful,
			Help: "1 if the policies in use are the latest seen, 0 if those were refused.",
		}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: MetricLoadedTimestamp,
			Help: "When the policies in use were loaded, as seconds since 1970; 0 before the first.",
		}),
	}
	m.refusals.WithLabelValues(fromFiles)
	m.refusals.WithLabelValues(fromBundles)
	reg.MustRegister(m.activations, m.refusals, m.compiling, m.success, m.loaded)
	return m
}
