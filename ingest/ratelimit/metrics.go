package ratelimit

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/ingest"
)

// Names of the metrics.
const (
	MetricRequests      = "tallygate_ratelimit_requests_total"
	MetricDuration      = "tallygate_ratelimit_request_duration_seconds"
	MetricFailures      = "tallygate_ratelimit_failures_total"
	MetricFramesRefused = "tallygate_ratelimit_frames_refused_total"
	MetricDescriptors   = "tallygate_ratelimit_descriptors_total"
	MetricHits          = "tallygate_ratelimit_limit_hits_total"
	MetricNearLimit     = "tallygate_ratelimit_limit_near_hits_total"
	MetricInFlight      = "tallygate_ratelimit_requests_in_flight"
	MetricInFlightLimit = "tallygate_ratelimit_requests_limit"
)

// Names of the labels.
const (
	LabelOutcome = "outcome" // how a request was answered
	LabelReason  = "reason"  // why it was refused or failed
	LabelMatched = "matched" // whether a limit bears on a descriptor
	LabelLimit   = "limit"   // path of a limit
	LabelResult  = "result"  // what became of hits
)

// outcome is how a request was answered.
type outcome uint8

const (
	outcomeOK            outcome = iota
	outcomeOverLimit             // by a limit
	outcomeShadow                // over a limit, and global shadow mode let it pass
	outcomeErrorAllow            // limits unknown, by on_error
	outcomeErrorDeny             // limits unknown, by on_error
	outcomeErrorResponse         // limits unknown, left to the proxy
	outcomeRefused               // no request that can be answered
	outcomeCanceled              // the proxy did not wait
	numOutcomes
)

var outcomeNames = [numOutcomes]string{
	"ok", "over_limit", "shadow_mode", "error_allow", "error_deny", "error_response", "refused", "canceled",
}

type metrics struct {
	requests           [numOutcomes]prometheus.Counter
	duration           prometheus.Histogram
	failures           *prometheus.CounterVec // by reason
	frames             *prometheus.CounterVec // by reason
	matched, unmatched prometheus.Counter     // descriptors
}

func newMetrics(reg prometheus.Registerer, l *ingest.InFlight, b *books) *metrics {
	vec := func(name, help, label string, values ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		for _, value := range values {
			v.WithLabelValues(value)
		}
		return v
	}
	gauge := func(name, help string, f func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(f()) })
	}
	requests := vec(MetricRequests, "Rate limit requests, by how they were answered: ok and over_limit by limits, shadow_mode is over a limit in "+
		"global shadow mode, error_* by on_error, refused could not be read.", LabelOutcome)
	descriptors := vec(MetricDescriptors, "Descriptors asked for, by whether a limit bears on them.", LabelMatched)
	m := &metrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: MetricDuration, Help: "Time from the arrival of a rate limit request to its answer.",
			Buckets: []float64{.00001, .00002, .00005, .0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1},
		}),
		failures: vec(MetricFailures, "Requests of which the limits could not be found out and that were answered as on_error says, by reason.",
			LabelReason, ingest.FailedError, ingest.FailedDeadline, ingest.FailedOverload, ingest.FailedPanic),
		frames: vec(MetricFramesRefused, "Messages that are no request that can be answered, by reason: malformed, too_large, too_many descriptors or entries, "+
			"an override that is no limit, invalid (no domain, no descriptor).",
			LabelReason, refusedMalformed, refusedTooLarge, refusedTooMany, refusedOverride, refusedInvalid),
		matched: descriptors.WithLabelValues("true"), unmatched: descriptors.WithLabelValues("false"),
	}
	for o := range numOutcomes {
		m.requests[o] = requests.WithLabelValues(outcomeNames[o])
	}
	reg.MustRegister(requests, descriptors, m.duration, m.failures, m.frames, b,
		gauge(MetricInFlight, "Rate limit requests that are worked on.", l.Now),
		gauge(MetricInFlightLimit, "Rate limit requests that may be worked on at once.", l.Most),
	)
	return m
}
