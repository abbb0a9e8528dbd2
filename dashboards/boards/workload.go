package boards

import (
	"github.com/tallygate/tallygate/dashboards/board"
	"github.com/tallygate/tallygate/dashboards/golden"
	"github.com/tallygate/tallygate/dashboards/promql"
	"github.com/tallygate/tallygate/red"
)

// Workload is one workload: what it answers, and what it calls.
func Workload() *board.Board {
	return &board.Board{
		UID: uidWorkload, Title: "Tallygate: workload",
		Description: "One workload: how it answers those who call it, and how those answer whom it calls. A workload that fails because of another has both rows red.",
		Variables:   variables(),
		Rows: []board.Row{
			{Title: "How does $workload answer?", Panels: append(answerStats(inbound),
				board.Panel{Kind: board.Graph, Title: "What became of the requests?", Unit: board.PerSecond, Width: 12, Stack: true, Colours: outcomeColours,
					Description: "Requests to the workload by outcome." + notBlamed + " Where red begins, look whether what it calls failed at the same time.",
					Targets:     outcomes(inbound)},
				board.Panel{Kind: board.Graph, Title: "How long does it take to answer?", Unit: board.Milliseconds, Width: 12,
					Description: "Quantiles of durations of requests to the workload." + seeTraces, Targets: latencies(inbound)},
				board.Panel{Kind: board.Table, Title: "Who calls it?", Unit: board.Short, Width: 24, Height: 7, Columns: edgeColumns(),
					Description: "Callers of the workload. When one row is red and others are not, look at that edge; when all are, at the workload.",
					Targets:     edgeTargets(inbound)},
			)},
			{Title: "How do those answer whom $workload calls?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "What became of its own calls?", Unit: board.PerSecond, Width: 12, Stack: true, Colours: outcomeColours,
					Description: "Requests that the workload sent, by outcome. When it is red here, the cause is further down: follow the row below that is red.",
					Targets:     outcomes(outbound)},
				{Kind: board.Graph, Title: "How long does it wait?", Unit: board.Milliseconds, Width: 12,
					Description: "Quantiles of durations of requests that the workload sent. As long as its own answers: it only waits." + seeTraces,
					Targets:     latencies(outbound)},
				{Kind: board.Table, Title: "Whom does it call?", Unit: board.Short, Width: 24, Height: 7, Columns: edgeColumns(),
					Description: "Whom the workload calls. A callee that is unknown was never reached: no endpoints, or no connection. When a row is red, follow it.",
					Targets:     edgeTargets(outbound)},
			}},
			{Title: "How large, and how much TCP?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "How large are requests and answers?", Unit: board.Bytes, Width: 8,
					Description: "Mean size with headers. A jump with latency is payload, not slowness: find the callers that began to send more.",
					Targets: []board.Target{
						{Legend: "request", Expr: mean(promql.Select(red.MetricRequestBytes, inbound...))},
						{Legend: "answer", Expr: mean(promql.Select(red.MetricResponseBytes, inbound...))},
					}},
				{Kind: board.Graph, Title: "How many bytes go over TCP?", Unit: board.BytesPerSecond, Width: 8,
					Description: "Bytes of TCP connections to the workload. When it falls to nothing with connections open, the application hangs.",
					Targets: []board.Target{
						{Legend: "from {{" + golden.Source + "}}", Expr: promql.Sum(promql.Select(red.MetricTCPReceivedBytes, inbound...).Rate(interval), golden.Source)},
						{Legend: "to {{" + golden.Source + "}}", Expr: promql.Sum(promql.Select(red.MetricTCPSentBytes, inbound...).Rate(interval), golden.Source)},
					}},
				{Kind: board.Graph, Title: "How many TCP connections open and close?", Unit: board.CountPerSecond, Width: 8,
					Description: "TCP connections to the workload. Many more opened than before is a caller without a pool or one that is refused and tries again: find it on its Edge board.",
					Targets: []board.Target{
						{Legend: "opened", Expr: promql.Sum(promql.Select(red.MetricTCPOpened, inbound...).Rate(interval))},
						{Legend: "closed", Expr: promql.Sum(promql.Select(red.MetricTCPClosed, inbound...).Rate(interval))},
					}},
			}},
		},
	}
}

// mean is the mean of a histogram.
func mean(h promql.Metric, by ...string) promql.Expr {
	return promql.Div(promql.Sum(h.Sum().Rate(interval), by...), promql.Sum(h.Count().Rate(interval), by...))
}

func edgeColumns() []board.Column {
	out := []board.Column{
		{Field: golden.Source, Title: "Source"}, {Field: golden.Destination, Title: "Destination"}, {Field: golden.Service, Title: "Service", Width: 280},
		{Field: "Value #A", Title: "Requests", Unit: board.PerSecond},
		{Field: "Value #B", Title: "Failed", Unit: board.Ratio, Steps: failureSteps},
		{Field: "Value #C", Title: "p99", Unit: board.Milliseconds},
	}
	for i := range out {
		out[i].Link = toEdge
	}
	return out
}

func edgeTargets(m []promql.Matcher) []board.Target {
	by := []string{golden.Source, golden.Destination, golden.Service}
	sum := promql.Sum(golden.Requests(m...).Rate(interval), by...)
	return []board.Target{
		{Instant: true, Expr: some(sum)},
		{Instant: true, Expr: promql.Share(golden.OrZero(promql.Sum(golden.Failed(interval, m...), by...), sum), some(sum))},
		{Instant: true, Expr: defined(quantile(0.99, m, by...))},
	}
}
