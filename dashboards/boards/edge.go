package boards

import (
	"github.com/tallygate/tallygate/dashboards/board"
	"github.com/tallygate/tallygate/dashboards/golden"
	"github.com/tallygate/tallygate/dashboards/promql"
	"github.com/tallygate/tallygate/red"
)

// Edge is one caller, one callee: as both sides report it.
func Edge() *board.Board {
	edge := []promql.Matcher{
		promql.Match(golden.Source, "$source"), promql.Match(golden.Destination, "$destination"), promql.Match(golden.Service, "$service"),
	}
	m := append([]promql.Matcher{reported}, edge...)
	all := golden.Requests(m...)
	codes := []string{golden.Protocol, golden.Code, golden.GRPCStatus, golden.Flags}
	return &board.Board{
		UID: uidEdge, Title: "Tallygate: edge",
		Description: "One caller and one callee: what fails between them, since when, and whether both sides agree on it.",
		Variables: variables(
			board.Variable{Name: "source", Label: "Source", Multi: true, Query: board.Labels(golden.Requests(reported), golden.Source)},
			board.Variable{Name: "destination", Label: "Destination", Multi: true, Query: board.Labels(golden.Requests(reported, promql.Match(golden.Source, "$source")), golden.Destination)},
			board.Variable{Name: "service", Label: "Service", Multi: true,
				Query: board.Labels(golden.Requests(reported, promql.Match(golden.Source, "$source"), promql.Match(golden.Destination, "$destination")), golden.Service)},
		),
		Rows: []board.Row{
			{Title: "How does $destination answer $source?", Panels: append(answerStats(m),
				board.Panel{Kind: board.Graph, Title: "Which codes and flags?", Unit: board.PerSecond, Width: 12, Stack: true, Shades: codeShades,
					Description: "Requests by protocol, code, gRPC status and Envoy's response flags. UH: no endpoint. UF: no connection. UT: timeout. UO: circuit breaker. URX: retries used up. DC: the caller left. UAEX: a policy denied it; see the board Policy.",
					Targets:     []board.Target{{Legend: "{{" + golden.Protocol + "}} {{" + golden.Code + "}} {{" + golden.GRPCStatus + "}} {{" + golden.Flags + "}}", Expr: promql.Sum(all.Rate(interval), codes...)}}},
				board.Panel{Kind: board.Graph, Title: "How long do requests take?", Unit: board.Milliseconds, Width: 12,
					Description: "Quantiles of durations." + seeTraces, Targets: latencies(m)},
				board.Panel{Kind: board.Graph, Title: "What became of the requests?", Unit: board.PerSecond, Width: 12, Stack: true, Colours: outcomeColours,
					Description: "Requests by outcome." + notBlamed + " Where red begins, compare with deployments of both ends.",
					Targets:     outcomes(m)},
				board.Panel{Kind: board.Heatmap, Title: "How are durations spread?", Unit: board.Milliseconds, Width: 12,
					Description: "Requests by duration. Two bands are two kinds of requests, or a cache; a band that appears at a timeout's value is the timeout: look for UT among the flags.",
					Targets:     []board.Target{{Legend: "{{" + golden.LE + "}}", Expr: promql.Sum(golden.Durations(m...).Bucket().Rate(interval), golden.LE)}}},
			)},
			{Title: "Do both sides agree?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "Who sees how many requests?", Unit: board.PerSecond, Width: 8,
					Description: "Requests by who reports them. The callee sees more when the caller's proxy retries, and fewer when requests do not arrive: then look at the network between them.",
					Targets:     []board.Target{{Legend: "{{" + golden.Reporter + "}}", Expr: promql.Sum(golden.Requests(edge...).Rate(interval), golden.Reporter)}}},
				{Kind: board.Graph, Title: "Who sees how many failures?", Unit: board.Ratio, Width: 8, Steps: failureSteps,
					Description: "Share of failures by who reports them. Red at the caller alone: they fail on the way, or before it (timeouts, no connection). Red at both: the callee fails.",
					Targets:     []board.Target{{Legend: "{{" + golden.Reporter + "}}", Expr: promql.Less(promql.Number(1), success(edge, golden.Reporter))}}},
				{Kind: board.Graph, Title: "How long, as each side sees it?", Unit: board.Milliseconds, Width: 8, Steps: latencySteps,
					Description: "The 99th percentile by who reports it. The difference is the way and the retries: when only the caller is red, do not blame the callee.",
					Targets:     []board.Target{{Legend: "p99, {{" + golden.Reporter + "}}", Expr: quantile(0.99, edge, golden.Reporter)}}},
			}},
			{Title: "What else goes over it?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "How many gRPC messages?", Unit: board.OpsPerSecond, Width: 8,
					Description: "Messages of gRPC streams by direction. A stream that is open and silent shows here as nothing: look at the application.",
					Targets: []board.Target{
						{Legend: "sent by the caller", Expr: promql.Sum(promql.Select(red.MetricRequestMessages, m[:3]...).Rate(interval))},
						{Legend: "sent by the callee", Expr: promql.Sum(promql.Select(red.MetricResponseMessages, m[:3]...).Rate(interval))},
					}},
				{Kind: board.Graph, Title: "How many bytes go over TCP?", Unit: board.BytesPerSecond, Width: 8,
					Description: "Bytes of TCP connections by direction. Nothing while connections are open: one end hangs.",
					Targets: []board.Target{
						{Legend: "from the caller", Expr: promql.Sum(promql.Select(red.MetricTCPReceivedBytes, m[:3]...).Rate(interval))},
						{Legend: "from the callee", Expr: promql.Sum(promql.Select(red.MetricTCPSentBytes, m[:3]...).Rate(interval))},
					}},
				{Kind: board.Graph, Title: "Is the connection by mTLS?", Unit: board.PerSecond, Width: 8, Stack: true,
					Description: "Requests by the security of their connection, which only the callee knows. When some are none, the caller has no identity there and policies cannot tell who it is.",
					Targets:     []board.Target{{Legend: "{{" + golden.Security + "}}", Expr: promql.Sum(golden.Requests(edge...).With(promql.Equal(golden.Reporter, "destination")).Rate(interval), golden.Security)}}},
			}},
		},
	}
}
