package boards

import (
	"github.com/tallygate/tallygate/dashboards/board"
	"github.com/tallygate/tallygate/dashboards/golden"
	"github.com/tallygate/tallygate/dashboards/promql"
	"github.com/tallygate/tallygate/red"
)

// Mesh is the overview: is anything wrong, and where.
func Mesh() *board.Board {
	m := inbound
	requests := meshRate(golden.RecordedRequests, m)
	failed := meshRate(golden.RecordedFailed, m)
	byEdge := golden.Edge[1:]
	edge := []board.Column{
		{Field: golden.Source, Title: "Source"}, {Field: golden.Destination, Title: "Destination"}, {Field: golden.Service, Title: "Service", Width: 280},
		{Field: "Value #A", Title: "Requests", Unit: board.PerSecond},
		{Field: "Value #B", Title: "Failed", Unit: board.Ratio, Steps: failureSteps},
		{Field: "Value #C", Title: "Denied", Unit: board.Ratio},
		{Field: "Value #D", Title: "p99", Unit: board.Milliseconds},
	}
	for i := range edge {
		edge[i].Link = toEdge
	}
	return &board.Board{
		UID: uidMesh, Title: "Tallygate: mesh overview",
		Description: "Is anything wrong in the mesh, and between whom? Begin here: every row of the tables leads further.",
		Variables:   append(variables(), recorded()),
		Rows: []board.Row{
			{Title: "How is the mesh now?", Panels: []board.Panel{
				{Kind: board.Stat, Title: "How much traffic?", Unit: board.PerSecond, Width: 4, Height: 5,
					Description: "Requests of HTTP and gRPC per second." + fromReports + " Nothing here means that no proxy reports: ask tallygate doctor.",
					Targets:     []board.Target{{Expr: requests(), Legend: "requests"}}},
				{Kind: board.Stat, Title: "What succeeds?", Unit: board.Ratio, Width: 4, Height: 5, Steps: successSteps,
					Description: "1 less the share of requests that failed." + notBlamed + seeEdges,
					Targets:     []board.Target{{Expr: share(requests, failed), Legend: "success"}}},
				{Kind: board.Stat, Title: "How long (p99)?", Unit: board.Milliseconds, Width: 4, Height: 5, Steps: latencySteps,
					Description: "The 99th percentile of durations over all requests, estimated from buckets. When it is red, sort the table of workloads by p99.",
					Targets:     []board.Target{{Expr: meshQuantile(0.99, m), Legend: "p99"}}},
				{Kind: board.Stat, Title: "What is denied?", Unit: board.PerSecond, Width: 4, Height: 5,
					Description: "Requests that ext_authz did not let pass. A jump after a change of policy is the policy's: the board Policy names the rule.",
					Targets:     []board.Target{{Expr: meshRate(golden.RecordedDenied, m)(), Legend: "denied"}}},
				{Kind: board.Stat, Title: "How many answer?", Unit: board.Short, Width: 4, Height: 5,
					Description: "Workloads that were asked in the last minutes. When some are missing, ask tallygate doctor which proxies report.",
					Targets:     []board.Target{{Expr: promql.Count(some(requests(golden.Destination, golden.DestinationNamespace))), Legend: "workloads"}}},
				{Kind: board.Stat, Title: "How much TCP?", Unit: board.BytesPerSecond, Width: 4, Height: 5,
					Description: "Bytes of TCP connections per second in both directions. When it falls to nothing while connections stay open, look at the Edge board for who went quiet.",
					Targets: []board.Target{{Legend: "TCP", Expr: promql.Sum(promql.Or(
						promql.Select(red.MetricTCPSentBytes, m...).Rate(interval), promql.Relabel(promql.Select(red.MetricTCPReceivedBytes, m...).Rate(interval), "direction", "in", "", "")))}}},
			}},
			{Title: "Since when?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "What became of the requests?", Unit: board.PerSecond, Width: 8, Stack: true, Colours: outcomeColours,
					Description: "Requests by outcome." + notBlamed + " Where red begins, something broke: compare with deployments and with the alerts that are drawn here.",
					Targets: []board.Target{
						{Expr: promql.Less(requests(), golden.OrZero(failed(), requests())), Legend: "answered"},
						{Expr: failed(), Legend: "failed"},
						{Expr: meshRate(golden.RecordedDenied, m)(), Legend: "denied"},
					}},
				{Kind: board.Graph, Title: "Which namespace fails?", Unit: board.Ratio, Width: 8, Steps: failureSteps,
					Description: "Share of failed requests by the namespace that was asked." + notBlamed + seeEdges,
					Targets: []board.Target{{Legend: "{{" + golden.DestinationNamespace + "}}",
						Expr: promql.Share(failed(golden.DestinationNamespace), requests(golden.DestinationNamespace))}}},
				{Kind: board.Graph, Title: "How long do requests take?", Unit: board.Milliseconds, Width: 8,
					Description: "Quantiles of durations over all requests. When p99 rises alone few requests are slow, when p50 rises all are." + seeTraces,
					Targets:     latencies(m)},
			}},
			{Title: "Who talks to whom?", Panels: []board.Panel{
				{Kind: board.Table, Title: "Which edge fails, is denied or slow?", Unit: board.Short, Width: 24, Height: 10, Columns: edge,
					Description: "One row per caller, callee and service. Red is failed above 1 %: click it for the codes, the flags and the latency of that edge. A callee that is unknown was never reached.",
					Targets: []board.Target{
						{Instant: true, Expr: some(requests(byEdge...))},
						{Instant: true, Expr: promql.Share(golden.OrZero(failed(byEdge...), requests(byEdge...)), some(requests(byEdge...)))},
						{Instant: true, Expr: promql.Share(meshRate(golden.RecordedDenied, m)(byEdge...), some(requests(byEdge...)))},
						{Instant: true, Expr: defined(meshQuantile(0.99, m, byEdge...))},
					}},
			}},
			{Title: "Which workload?", Panels: []board.Panel{
				{Kind: board.Table, Title: "How does each workload answer?", Unit: board.Short, Width: 24, Height: 9, Columns: answers(golden.DestinationNamespace, golden.Destination),
					Description: "Workloads that were asked, with their share of failures and the quantiles of their durations. When a row is red, its board shows whose calls fail and what it calls itself.",
					Targets:     answerTargets(m, golden.DestinationNamespace, golden.Destination)},
				{Kind: board.Graph, Title: "Which workloads fail most?", Unit: board.Ratio, Width: 12, Steps: failureSteps,
					Description: "The ten workloads with the greatest share of failed requests." + seeEdges,
					Targets: []board.Target{{Legend: "{{" + golden.Destination + "}}",
						Expr: promql.Top(10, promql.Above(promql.Share(failed(golden.Destination), requests(golden.Destination)), promql.Number(0)))}}},
				{Kind: board.Graph, Title: "Which workloads are slowest?", Unit: board.Milliseconds, Width: 12, Steps: latencySteps,
					Description: "The ten workloads with the greatest 99th percentile. When one is red, open its board: it is slow itself, or waits for whom it calls.",
					Targets:     []board.Target{{Legend: "{{" + golden.Destination + "}}", Expr: promql.Top(10, defined(meshQuantile(0.99, m, golden.Destination)))}}},
			}},
			{Title: "Which namespace?", Panels: []board.Panel{
				{Kind: board.Table, Title: "How does each namespace answer?", Unit: board.Short, Width: 24, Height: 6, Columns: answers(golden.DestinationNamespace),
					Description: "The same by namespace. When a row is red, choose that namespace above.",
					Targets:     answerTargets(m, golden.DestinationNamespace)},
			}},
		},
	}
}

// recorded is the variable that keeps [golden.Recorded] from selecting raw series
// where rules record.
func recorded() board.Variable {
	there := promql.Select(golden.RecordedRequests)
	return board.Variable{
		Name: golden.RecordedVariable, Hidden: true, Regex: board.Value(golden.RecordedVariable),
		Query: board.Result(promql.Or(
			promql.Relabel(promql.Group(there.Now()), golden.RecordedVariable, ".+", "", ""),
			promql.Relabel(promql.Absent(there), golden.RecordedVariable, "none", "", ""))),
	}
}

// meshRate returns the rate of what is recorded under a name, by labels.
func meshRate(name string, m []promql.Matcher) func(by ...string) promql.Expr {
	raw := map[string]func(...promql.Matcher) promql.Expr{
		golden.RecordedRequests: func(m ...promql.Matcher) promql.Expr { return golden.Requests(m...).Rate(interval) },
		golden.RecordedFailed:   func(m ...promql.Matcher) promql.Expr { return golden.Failed(interval, m...) },
		golden.RecordedDenied:   func(m ...promql.Matcher) promql.Expr { return golden.Denied(m...).Rate(interval) },
		golden.RecordedBuckets:  func(m ...promql.Matcher) promql.Expr { return golden.Durations(m...).Bucket().Rate(interval) },
	}[name]
	if name == golden.RecordedDenied {
		m = golden.AnySide(m)
	}
	return func(by ...string) promql.Expr { return golden.Recorded(name, raw, by, m...) }
}

func meshQuantile(q float64, m []promql.Matcher, by ...string) promql.Expr {
	return promql.Quantile(q, meshRate(golden.RecordedBuckets, m)(append([]string{golden.LE}, by...)...))
}

func share(requests, failed func(...string) promql.Expr) promql.Expr {
	return promql.Less(promql.Number(1), promql.Share(golden.OrZero(failed(), requests()), requests()))
}

// answers are the columns of tables of who answers, by one or two labels.
func answers(by ...string) (out []board.Column) {
	titles := map[string]string{golden.DestinationNamespace: "Namespace", golden.Destination: "Workload"}
	for _, label := range by {
		out = append(out, board.Column{Field: label, Title: titles[label]})
	}
	out = append(out,
		board.Column{Field: "Value #A", Title: "Requests", Unit: board.PerSecond},
		board.Column{Field: "Value #B", Title: "Failed", Unit: board.Ratio, Steps: failureSteps})
	for i, name := range []string{"p50", "p90", "p95", "p99"} {
		out = append(out, board.Column{Field: "Value #" + string(rune('C'+i)), Title: name, Unit: board.Milliseconds})
	}
	if len(by) == 2 {
		for i := range out {
			out[i].Link = toWorkloadBoard
		}
	}
	return out
}

func answerTargets(m []promql.Matcher, by ...string) []board.Target {
	requests, failed := meshRate(golden.RecordedRequests, m), meshRate(golden.RecordedFailed, m)
	out := []board.Target{
		{Instant: true, Expr: some(requests(by...))},
		{Instant: true, Expr: promql.Share(golden.OrZero(failed(by...), requests(by...)), some(requests(by...)))},
	}
	for _, q := range []float64{0.5, 0.9, 0.95, 0.99} {
		out = append(out, board.Target{Instant: true, Expr: defined(meshQuantile(q, m, by...))})
	}
	return out
}
