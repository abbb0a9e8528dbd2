package boards

import (
	"github.com/tallygate/tallygate/dashboards/board"
	"github.com/tallygate/tallygate/dashboards/golden"
	"github.com/tallygate/tallygate/dashboards/promql"
	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/spans"
)

// Traces is from a latency to the traces behind it, and whether spans arrive.
func Traces() *board.Board {
	service := mesh.LabelDestinationCanonicalService.String()
	m := []promql.Matcher{reported, toNamespace, promql.Match(service, "$trace_service")}
	search := func(tags, longer string) []board.Target {
		return []board.Target{{Search: &board.Search{Service: "$trace_service", Tags: tags, MinDuration: longer, Limit: 20}}}
	}
	kept := book(spans.MetricSelected)
	return &board.Board{
		UID: uidTraces, Title: "Tallygate: traces",
		Description: "The traces behind a service's errors and latency, and whether every span that was sampled arrives.",
		Variables: variables(append(jobs(),
			board.Variable{Name: board.Jaeger.Variable, Label: "Traces", Source: board.Jaeger},
			// As spans name it; one, because Jaeger searches one service at a time.
			board.Variable{Name: "trace_service", Label: "Service", Query: board.Labels(golden.Requests(toNamespace), service)},
		)...),
		Rows: []board.Row{
			{Title: "Which requests of $trace_service were slow or failed?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "How long do requests take?", Unit: board.Milliseconds, Width: 12,
					Description: "Quantiles of durations of requests to the service." + seeTraces, Targets: latencies(m)},
				{Kind: board.Graph, Title: "What became of the requests?", Unit: board.PerSecond, Width: 12, Stack: true, Colours: outcomeColours,
					Description: "Requests by outcome." + notBlamed + " Where red begins, the traces of that time are in the table of errors below: set the time to it.",
					Targets:     outcomes(m)},
				{Kind: board.Table, Source: board.Jaeger, Title: "Which requests failed?", Unit: board.None, Width: 12,
					Description: "The last traces with an error in the service. Errors are always sampled, up to a rate. When it is empty although requests fail, look below whether spans are dropped.",
					Targets:     search("error=true", "")},
				{Kind: board.Table, Source: board.Jaeger, Title: "Which requests were slow?", Unit: board.None, Width: 12,
					Description: "The last traces in which the service took longer than a second. Open one and see which hop took the time; a gap between spans is the application's own.",
					Targets:     search("", "1s")},
			}},
			{Title: "Which spans are made?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "Why are requests sampled?", Unit: board.OpsPerSecond, Width: 8, Stack: true,
					Description: "Spans made of access-log entries, by the reason for which they were sampled. Nothing by proxy: the proxies sample nothing, or their entries have no trace_sampled; ask tallygate doctor.",
					Targets:     []board.Target{{Legend: "{{" + spans.LabelReason + "}}", Expr: promql.Sum(kept.Rate(interval), spans.LabelReason)}}},
				{Kind: board.Graph, Title: "Which reasons are over their rate?", Unit: board.OpsPerSecond, Width: 8,
					Description: "Times that a reason to sample was over its rate. Many errors in an incident are meant to be bounded; raise spans.sampling.*.per_second if you want more of them.",
					Targets:     []board.Target{{Legend: "{{" + spans.LabelReason + "}}", Expr: promql.Sum(book(spans.MetricRateLimited).Rate(interval), spans.LabelReason)}}},
				{Kind: board.Graph, Title: "Which spans come from others?", Unit: board.OpsPerSecond, Width: 8,
					Description: "Spans received from proxies and applications that trace, and requests left to their proxy because it exported its own span. Nothing received: see where they send them.",
					Targets: []board.Target{
						{Legend: "received", Expr: promql.Sum(book(spans.MetricReceived).Rate(interval))},
						{Legend: "left to the proxy", Expr: promql.Sum(book(spans.MetricNative).Rate(interval))},
					}},
			}},
			{Title: "Does every span arrive?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "Are spans exported?", Unit: board.OpsPerSecond, Width: 8,
					Description: "Spans for each exporter and spans that it has sent. When sent stays below, they wait or are dropped: see beside, and the log of whoever takes them.",
					Targets: []board.Target{
						{Legend: "for {{" + spans.LabelExporter + "}}", Expr: promql.Sum(book(spans.MetricSampled).Rate(interval), spans.LabelExporter)},
						{Legend: "sent by {{" + spans.LabelExporter + "}}", Expr: promql.Sum(book(spans.MetricExported).Rate(interval), spans.LabelExporter)},
					}},
				{Kind: board.Graph, Title: "Are spans lost?", Unit: board.OpsPerSecond, Width: 8, Steps: anySteps,
					Description: "Spans lost by exporter and reason. Red: buffer_full and queue_full are a slow backend (raise spans.queue.size, or keep the queue on disk); failed is one that refuses.",
					Targets: []board.Target{{Legend: "{{" + spans.LabelExporter + "}} {{" + spans.LabelReason + "}}",
						Expr: promql.Sum(book(spans.MetricDropped).Rate(interval), spans.LabelExporter, spans.LabelReason)}}},
				{Kind: board.Graph, Title: "How many spans wait?", Unit: board.Short, Width: 8,
					Description: "Spans that wait for each exporter. When it grows the backend is slower than the mesh: look at the backend before the queue is full.",
					Targets:     []board.Target{{Legend: "{{" + spans.LabelExporter + "}}", Expr: promql.Sum(book(spans.MetricQueued).Now(), spans.LabelExporter)}}},
			}},
		},
	}
}
