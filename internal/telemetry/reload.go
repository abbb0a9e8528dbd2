package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

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
			Name: "tallygate_config_last_reload_success",
			Help: "1 if the last reload of the configuration was applied, 0 if it was refused and the one before stays.",
		}),
		timestamp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tallygate_config_last_reload_success_timestamp_seconds",
			Help: "When a configuration was last applied, Unix time.",
		}),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tallygate_config_reloads_total",
			Help: "Reloads asked for, by result.",
		}, []string{"result"}),
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
