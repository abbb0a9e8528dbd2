package rules

import (
	"github.com/tallygate/tallygate/dashboards/golden"
	"github.com/tallygate/tallygate/dashboards/promql"
)

// Windows of the alerts: those of pages are read from the raw series, because
// rates of rates lag; those of tickets from what is recorded.
const (
	short, long               = "5m", "1h"
	lastingShort, lastingLong = "30m", "6h"
)

// recording are the rates by edge, which the overview reads and the alerts watch.
func recording() Group {
	by := golden.Edge
	requests := func(window string) Rule {
		return Rule{Record: golden.RecordedRequestsOver(window), Expr: promql.Sum(golden.Requests().Rate(window), by...)}
	}
	// What nobody had yet is 0, not missing.
	orZero := func(e promql.Expr, window string) promql.Expr {
		return golden.OrZero(promql.Sum(e, by...), promql.Select(golden.RecordedRequestsOver(window)).Now())
	}
	failed := func(window string) Rule {
		return Rule{Record: golden.RecordedFailedOver(window), Expr: orZero(golden.Failed(window), window)}
	}
	slow := func(window string) Rule {
		return Rule{Record: golden.RecordedSlowOver(window), Expr: promql.Less(
			promql.Sum(golden.Durations().Count().Rate(window), by...), promql.Sum(golden.Fast().Rate(window), by...))}
	}
	const board = golden.RecordedWindow
	return Group{Name: "tallygate-edges", Rules: []Rule{
		requests(board), requests(short), requests(long),
		failed(board), failed(short), failed(long),
		slow(short), slow(long),
		{Record: golden.RecordedDenied, Expr: orZero(golden.Denied().Rate(board), board)},
		{Record: golden.RecordedBuckets, Expr: promql.Sum(golden.Durations().Bucket().Rate(board), append([]string{golden.LE}, by...)...)},
	}}
}
