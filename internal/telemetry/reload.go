package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Names of the metrics.
const (
	MetricLastReloadSuccess          = "tallygate_config_last_reload_success"
	MetricLastReloadSuccessTimestamp = "tallygate_config_last_reload_success_timestamp_seconds"
	MetricReloads                    = "tallygate_config_reloads_total"
)

// LabelResult is how a reload ended.
const LabelResult = "result"

// Reloads records how reloads of the configuration ended.
type Reloads struct {
	success   prometheus.Gauge
	timestamp prometheus.Gauge
	total     *prometheus.CounterVec // by result
}

// NewReloads registers the metrics; the load at the start counts as a success.
func NewReloads(reg prometheus.Registerer) *Reloads {
	r := &Reloads{
		success: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: MetricLastReloadSuccess,
			Help: "1 if the last reload of the configuration was applied, 0 if it was refused and the one before stays.",
		}),
		timestamp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: MetricLastReloadSuccessTimestamp,
			Help: "When a configuration was last applied, Unix time.",
		}),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricReloads,
			Help: "Reloads asked for, by result.",
		}, []string{LabelResult}),
	}
	reg.MustRegister(r.success, r.timestamp, r.total)
	r.total.WithLabelValues("success")
	r.total.WithLabelValues("failure")
	r.success.Set(1)
	r.timestamp.Set(float64(time.Now().Unix()))
	return r
}

// Record records one reload.
func (r *Reloads) Record(err error) {
	if err != nil {
		r.success.Set(0)
		r.total.WithLabelValues("failure").Inc()
		return
	}
	r.success.Set(1)
	r.timestamp.Set(float64(time.Now().Unix()))
	r.total.WithLabelValues("success").Inc()
}
