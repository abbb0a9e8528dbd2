package boards

import (
	"github.com/tallygate/tallygate/dashboards/board"
	"github.com/tallygate/tallygate/dashboards/golden"
	"github.com/tallygate/tallygate/dashboards/promql"
)

// Service is one service as its callers know it, over all its workloads.
func Service() *board.Board {
	m := append(append([]promql.Matcher(nil), inbound...), promql.Match(golden.Service, "$service"))
	all := golden.Requests(m...)
	callers := []board.Column{
		{Field: golden.SourceNamespace, Title: "Namespace"}, {Field: golden.Source, Title: "Workload"},
		{Field: "Value #A", Title: "Requests", Unit: board.PerSecond},
		{Field: "Value #B", Title: "Failed", Unit: board.Ratio, Steps: failureSteps},
		{Field: "Value #C", Title: "p99", Unit: board.Milliseconds},
	}
	for i := range callers {
		callers[i].Link = toWorkloadBoard
	}
	by := []string{golden.SourceNamespace, golden.Source}
	sum := promql.Sum(all.Rate(interval), by...)
	return &board.Board{
		UID: uidService, Title: "Tallygate: service",
		Description: "One service over all its workloads: how it answers, to whom, and from which version.",
		Variables: variables(board.Variable{
			Name: "service", Label: "Service", Multi: true,
			Query: board.Labels(golden.Requests(reported, toNamespace), golden.Service),
		}),
		Rows: []board.Row{
			{Title: "How does $service answer?", Panels: append(answerStats(m),
				board.Panel{Kind: board.Graph, Title: "What became of the requests?", Unit: board.PerSecond, Width: 12, Stack: true, Colours: outcomeColours,
					Description: "Requests by outcome." + notBlamed + " Where red begins, compare with a deployment of the service, then with its callers below.",
					Targets:     outcomes(m)},
				board.Panel{Kind: board.Graph, Title: "How long do requests take?", Unit: board.Milliseconds, Width: 12,
					Description: "Quantiles of durations." + seeTraces, Targets: latencies(m)},
			)},
			{Title: "Who calls it?", Panels: []board.Panel{
				{Kind: board.Table, Title: "Whose calls fail?", Unit: board.Short, Width: 24, Height: 8, Columns: callers,
					Description: "Callers of the service. When one row is red and others are not, the caller or its way is the cause; when all are, the service is.",
					Targets: []board.Target{
						{Instant: true, Expr: some(sum)},
						{Instant: true, Expr: promql.Share(golden.OrZero(promql.Sum(golden.Failed(interval, m...), by...), sum), some(sum))},
						{Instant: true, Expr: defined(quantile(0.99, m, by...))},
					}},
			}},
			{Title: "Which part of it?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "Which workload and version fails?", Unit: board.Ratio, Width: 8, Steps: failureSteps,
					Description: "Share of failed requests by workload and version. When only the new version is red, roll it back.",
					Targets: []board.Target{{Legend: "{{" + golden.Destination + "}} {{" + golden.Version + "}}",
						Expr: promql.Less(promql.Number(1), success(m, golden.Destination, golden.Version))}}},
				{Kind: board.Graph, Title: "Which codes does it answer?", Unit: board.PerSecond, Width: 8, Stack: true, Shades: codeShades,
					Description: "Requests by protocol, code, gRPC status and Envoy's response flags. 0 is no answer; the flags say who gave up: UF and UH no connection, UT a timeout, UAEX a denial.",
					Targets: []board.Target{{Legend: "{{" + golden.Protocol + "}} {{" + golden.Code + "}} {{" + golden.GRPCStatus + "}} {{" + golden.Flags + "}}",
						Expr: promql.Sum(all.Rate(interval), golden.Protocol, golden.Code, golden.GRPCStatus, golden.Flags)}}},
				{Kind: board.Graph, Title: "Is every connection by mTLS?", Unit: board.PerSecond, Width: 8, Stack: true,
					Description: "Requests by the security of their connection; only the callee knows it, so this is always as the callee sees it. When some are none, their callers have no identity: find them in the table of callers.",
					Targets:     []board.Target{{Legend: "{{" + golden.Security + "}}", Expr: promql.Sum(golden.Requests(golden.AnySide(m)...).With(promql.Equal(golden.Reporter, "destination")).Rate(interval), golden.Security)}}},
			}},
		},
	}
}

// answerStats are the three figures that boards on one thing begin with.
func answerStats(m []promql.Matcher) []board.Panel {
	return []board.Panel{
		{Kind: board.Stat, Title: "How many requests come?", Unit: board.PerSecond, Width: 8, Height: 5,
			Description: "Requests per second." + fromReports + " Nothing means that nobody asks, or that no proxy on that side reports: try the other side.",
			Targets:     []board.Target{{Legend: "requests", Expr: promql.Sum(golden.Requests(m...).Rate(interval))}}},
		{Kind: board.Stat, Title: "Which share succeeds?", Unit: board.Ratio, Width: 8, Height: 5, Steps: successSteps,
			Description: "1 less the share of requests that failed." + notBlamed + " When it is red, the codes below say how and the callers say to whom.",
			Targets:     []board.Target{{Legend: "success", Expr: success(m)}}},
		{Kind: board.Stat, Title: "How long do 99 % take at most?", Unit: board.Milliseconds, Width: 8, Height: 5, Steps: latencySteps,
			Description: "The 99th percentile of durations, estimated from buckets." + seeTraces,
			Targets:     []board.Target{{Legend: "p99", Expr: quantile(0.99, m)}}},
	}
}
