package golden

import "github.com/tallygate/tallygate/dashboards/promql"

// Names of what rules record by edge; [Buckets] by le, too.
const (
	RecordedRequests = "edge:istio_requests:rate2m"
	RecordedFailed   = "edge:istio_requests_failed:rate2m"
	RecordedDenied   = "edge:istio_requests_denied:rate2m"
	RecordedSlow     = "edge:istio_requests_slow:rate2m"
	RecordedBuckets  = "edge:istio_request_duration_milliseconds_bucket:rate2m"
)

// RecordedWindow is the window of their rates: it works with a scrape interval
// of up to half a minute.
const RecordedWindow = "2m"

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
