package golden

import (
	"slices"
	"strconv"

	"github.com/tallygate/tallygate/dashboards/promql"
	"github.com/tallygate/tallygate/red"
)

const (
	// serverCodes are no answer, and answers that blame the server.
	serverCodes = "0|5.."
	// serverStatuses of gRPC blame the server: unknown, deadline exceeded, resource
	// exhausted, unimplemented, internal, unavailable, data loss.
	serverStatuses = "2|4|8|12|13|14|15"
	// gone is a caller that did not wait: its doing, not the server's.
	gone = ".*DC.*"
	// denied is how Envoy says that ext_authz let a request not pass.
	denied = ".*UAEX.*"
)

// SlowMilliseconds is when an answer is slow: one of the buckets.
const SlowMilliseconds = 1000

// Requests are the requests of HTTP and gRPC.
func Requests(m ...promql.Matcher) promql.Metric { return promql.Select(red.MetricRequests, m...) }

// Durations is the histogram of their durations in milliseconds.
func Durations(m ...promql.Matcher) promql.Metric {
	return promql.Select(red.MetricRequestDuration, m...)
}

// Failed is the rate of requests whose failure is the server's, series by series.
func Failed(window string, m ...promql.Matcher) promql.Expr {
	http := Requests(m...).With(promql.Match(Code, serverCodes), promql.NotMatch(Flags, gone), promql.NotMatch(GRPCStatus, serverStatuses))
	grpc := Requests(m...).With(promql.Match(GRPCStatus, serverStatuses))
	return promql.Or(http.Rate(window), grpc.Rate(window))
}

// Denied are the requests that a policy denied, whichever side asked it.
func Denied(m ...promql.Matcher) promql.Metric {
	return Requests(AnySide(m)...).With(promql.Match(Flags, denied))
}

// AnySide leaves out which reporter is chosen: only the side that asked a policy
// knows of a denial, mostly the callee's, and to the other it is a 403 like any.
func AnySide(m []promql.Matcher) []promql.Matcher {
	return slices.DeleteFunc(slices.Clone(m), func(m promql.Matcher) bool { return m.Label == Reporter && m.Op == "=" })
}

// Fast are the requests that were not slow. Prometheus 3 spells the bound as a
// decimal fraction.
func Fast(m ...promql.Matcher) promql.Metric {
	return Durations(m...).Bucket().With(promql.Match(LE, strconv.Itoa(SlowMilliseconds)+`(\.0)?`))
}

// OrZero is e, and 0 for whatever else all has.
func OrZero(e, all promql.Expr) promql.Expr {
	return promql.Or(e, promql.Mul(promql.Number(0), all))
}
