package rules

import (
	"github.com/tallygate/tallygate/dashboards/golden"
	"github.com/tallygate/tallygate/dashboards/promql"
)

const window = golden.RecordedWindow

// recording are the rates by edge, which the overview reads and the alerts watch.
func recording() Group {
	requests := golden.Requests().Rate(window)
	total := promql.Select(golden.RecordedRequests).Now()
	all := promql.Sum(golden.Durations().Count().Rate(window), golden.Edge...)
	fast := promql.Sum(golden.Fast().Rate(window), golden.Edge...)
	return Group{Name: "tallygate-edges", Rules: []Rule{
		{Record: golden.RecordedRequests, Expr: promql.Sum(requests, golden.Edge...)},
		// Those that nobody had yet are 0, not missing.
		{Record: golden.RecordedFailed, Expr: golden.OrZero(promql.Sum(golden.Failed(window), golden.Edge...), total)},
		{Record: golden.RecordedDenied, Expr: golden.OrZero(promql.Sum(golden.Denied().Rate(window), golden.Edge...), total)},
		{Record: golden.RecordedSlow, Expr: promql.Less(all, fast)},
		{Record: golden.RecordedBuckets, Expr: promql.Sum(golden.Durations().Bucket().Rate(window), append([]string{golden.LE}, golden.Edge...)...)},
	}}
}
