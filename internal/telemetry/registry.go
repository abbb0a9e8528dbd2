package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// MetricBuildInfo says what runs.
const MetricBuildInfo = "tallygate_build_info"

// NewRegistry returns the registry of Tallygate's own metrics, with those of
// the Go runtime, the process and the build.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	b := ReadBuild()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: MetricBuildInfo,
		Help: "1, with what this binary is in its labels.",
		ConstLabels: prometheus.Labels{
			"version":    b.Version,
			"revision":   b.Revision,
			"go_version": b.GoVersion,
		},
	})
	info.Set(1)
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		info,
	)
	return reg
}
