package rules

import (
	"fmt"

	"github.com/tallygate/tallygate/dashboards/golden"
	"github.com/tallygate/tallygate/dashboards/promql"
)

// What is promised of every edge, over 30 days.
const (
	failureBudget = 0.001 // share of requests that may fail
	slowBudget    = 0.01  // share that may take longer than golden.SlowMilliseconds
	deniedShare   = 0.05  // share whose denial somebody should hear of
)

// enough is the rate below which an edge has too few requests to judge by.
const enough = 0.02

// Burn rates and windows as in the SRE workbook, chapter 5: 2 % of the budget of
// 30 days in an hour, 5 % in six hours.
const (
	fast = 14.4
	slow = 6
)

const (
	reports  = "{{ $labels.reporter }}"
	edgeText = "{{ $labels.source_workload }}.{{ $labels.source_workload_namespace }} → {{ $labels.destination_workload }}.{{ $labels.destination_workload_namespace }} ({{ $labels.destination_service }})"
	percent  = "{{ $value | humanizePercentage }}"
)

// edges are the alerts on the mesh.
func edges() Group {
	failing := func(suffix string, factor float64, short, long string, severity Severity) Rule {
		return Rule{
			Alert: "TallygateEdgeErrors" + suffix, Severity: severity,
			Expr:        burn(golden.RecordedFailed, factor*failureBudget, short, long),
			Summary:     "Requests fail: " + edgeText,
			Description: fmt.Sprintf("%s of the requests failed in the last %s, as the %s reports. The objective is %g %% success.", percent, short, reports, 100*(1-failureBudget)),
		}
	}
	late := func(suffix string, factor float64, short, long string, severity Severity) Rule {
		return Rule{
			Alert: "TallygateEdgeLatency" + suffix, Severity: severity,
			Expr:        burn(golden.RecordedSlow, factor*slowBudget, short, long),
			Summary:     "Requests are slow: " + edgeText,
			Description: fmt.Sprintf("%s of the requests took longer than %d ms in the last %s, as the %s reports. The objective is %g %% within it.", percent, golden.SlowMilliseconds, short, reports, 100*(1-slowBudget)),
		}
	}
	return Group{Name: "tallygate-alerts-mesh", Rules: []Rule{
		failing("", fast, "5m", "1h", Page),
		failing("Lasting", slow, "30m", "6h", Ticket),
		late("", fast, "5m", "1h", Page),
		late("Lasting", slow, "30m", "6h", Ticket),
		{
			Alert: "TallygateEdgeDenied", Severity: Ticket,
			Expr:        promql.Above(ratio(golden.RecordedDenied, "5m"), promql.Number(deniedShare)),
			Summary:     "A policy denies: " + edgeText,
			Description: percent + " of the requests were denied in the last 5m, as the " + reports + " reports.",
		},
	}}
}

// ratio is the share of requests that a recorded rate is, over a window.
func ratio(name, window string) promql.Expr {
	return promql.Div(promql.Select(name).Total(window), promql.Select(golden.RecordedRequests).Total(window))
}

// burn holds if the share is above a threshold over both windows, on edges with
// enough requests.
func burn(name string, threshold float64, short, long string) promql.Expr {
	over := func(window string) promql.Expr {
		return promql.Above(ratio(name, window), promql.Number(threshold))
	}
	return promql.And(promql.And(over(short), over(long)), promql.Above(promql.Select(golden.RecordedRequests).Now(), promql.Number(enough)))
}
