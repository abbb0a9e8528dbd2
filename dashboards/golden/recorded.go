package golden

import "github.com/tallygate/tallygate/dashboards/promql"

// Names of what rules record by edge, before the window of the rate: the rate
// over [RecordedWindow] for boards, over longer ones for alerts.
const (
	rateRequests = "edge:istio_requests:rate"
	rateFailed   = "edge:istio_requests_failed:rate"
	rateDenied   = "edge:istio_requests_denied:rate"
	rateSlow     = "edge:istio_requests_slow:rate"
	rateBuckets  = "edge:istio_request_duration_milliseconds_bucket:rate"
)

// RecordedWindow is the window of the rates on boards: it works with a scrape
// interval of up to half a minute.
const RecordedWindow = "2m"

// Names of what boards show; [RecordedBuckets] has le, too.
const (
	RecordedRequests = rateRequests + RecordedWindow
	RecordedFailed   = rateFailed + RecordedWindow
	RecordedDenied   = rateDenied + RecordedWindow
	RecordedBuckets  = rateBuckets + RecordedWindow
)

// RecordedRequestsOver is the name of the rate of requests over a window.
func RecordedRequestsOver(window string) string { return rateRequests + window }

// RecordedFailedOver is that of failures.
func RecordedFailedOver(window string) string { return rateFailed + window }

// RecordedSlowOver is that of slow requests.
func RecordedSlowOver(window string) string { return rateSlow + window }

// RecordedVariable is the variable of a board that matches every reporter if the
// rules record, and none if they do not.
const RecordedVariable = "recorded"

// Recorded is a rate by labels of [Edge]: what rules recorded, or else the same
// of the raw series. PromQL evaluates both sides of or: so the variable keeps it
// from selecting the raw series where there is something recorded.
func Recorded(name string, raw func(m ...promql.Matcher) promql.Expr, by []string, m ...promql.Matcher) promql.Expr {
	unless := append(append([]promql.Matcher(nil), m...), promql.NotMatch(Reporter, "$"+RecordedVariable))
	return promql.Or(promql.Sum(promql.Select(name, m...).Now(), by...), promql.Sum(raw(unless...), by...))
}
