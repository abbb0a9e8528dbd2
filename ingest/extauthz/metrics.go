package extauthz

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/mesh"
)

// Names of the metrics.
const (
	MetricFailures        = "tallygate_extauthz_failures_total"
	MetricFramesRefused   = "tallygate_extauthz_frames_refused_total"
	MetricRequestsRefused = "tallygate_extauthz_requests_refused_total"
	MetricResultsRefused  = "tallygate_extauthz_results_refused_total"
	MetricChecksInFlight  = "tallygate_extauthz_checks_in_flight"
	MetricChecksLimit     = "tallygate_extauthz_checks_limit"
	MetricChecks          = "tallygate_extauthz_checks_total"
	MetricCheckDuration   = "tallygate_extauthz_check_duration_seconds"
)

// Names of their labels.
const (
	LabelListener = "listener"
	LabelOutcome  = "outcome"
	LabelReason   = "reason"
)

// outcome is how a check was answered.
type outcome uint8

const (
	outcomeAllow         outcome = iota
	outcomeDeny                  // by the policy
	outcomeQuota                 // allowed by the policy, denied by a quota
	outcomeErrorAllow            // not judged, by on_error
	outcomeErrorDeny             // not judged, by on_error
	outcomeErrorResponse         // not judged, left to the proxy
	outcomeShed                  // not judged because of the limit, by on_error
	outcomeRefused               // denied: the request or the policy's result is not sound
	outcomeCanceled              // the proxy did not wait
	numOutcomes
)

var outcomeNames = [numOutcomes]string{
	"allow", "deny", "quota", "error_allow", "error_deny", "error_response", "shed", "refused", "canceled",
}

const numListeners = 4

type metrics struct {
	checks   [numListeners][numOutcomes]prometheus.Counter
	duration [numListeners]prometheus.Observer
	failures *prometheus.CounterVec // by reason
	frames   *prometheus.CounterVec // by reason
	requests *prometheus.CounterVec // by reason
	results  *prometheus.CounterVec // by reason
}

func newMetrics(reg prometheus.Registerer, l *ingest.InFlight) *metrics {
	vec := func(name, help string, values ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{LabelReason})
		for _, value := range values {
			v.WithLabelValues(value)
		}
		return v
	}
	gauge := func(name, help string, f func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(f()) })
	}
	checks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: MetricChecks,
		Help: "Checks answered, by kind of listener and outcome: allow and deny are the policy's; quota is a denial by a quota; error_* and shed are on_error's; " +
			"refused are denials of requests that cannot be read and of results that cannot be carried out.",
	}, []string{LabelListener, LabelOutcome})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    MetricCheckDuration,
		Help:    "Time from the arrival of a check to its answer, by kind of listener.",
		Buckets: []float64{.00001, .00002, .00005, .0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5},
	}, []string{LabelListener})
	m := &metrics{
		failures: vec(MetricFailures, "Checks that could not be judged and were answered as on_error says, by reason.",
			ingest.FailedError, ingest.FailedDeadline, ingest.FailedOverload, ingest.FailedPanic),
		frames: vec(MetricFramesRefused, "Messages that are no CheckRequest, or too large for one, by reason.", frameMalformed, frameTooLarge),
		requests: vec(MetricRequestsRefused,
			"Requests denied because they could not be read, by what of them.",
			string(badPath), string(badBody), string(badNested), string(badProxy), string(badHeader)),
		results: vec(MetricResultsRefused, "Parts of verdicts that could not be carried out, by reason. An allowance with such a part becomes a denial.",
			refusedName, refusedValue, refusedQuery, refusedStatus, refusedMetadata, refusedUnsupported),
	}
	for l := range mesh.Listener(numListeners) {
		name := l.String()
		m.duration[l] = duration.WithLabelValues(name)
		for o := range numOutcomes {
			m.checks[l][o] = checks.WithLabelValues(name, outcomeNames[o])
		}
	}
	reg.MustRegister(checks, duration, m.failures, m.frames, m.requests, m.results,
		gauge(MetricChecksInFlight, "Checks that are worked on.", l.Now),
		gauge(MetricChecksLimit, "Checks that may be worked on at once.", l.Most),
	)
	return m
}
