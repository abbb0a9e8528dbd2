package rules

import (
	"fmt"
	"strings"

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
	errors := Rule{Alert: "TallygateEdgeErrors", Severity: Page, Summary: "Requests fail: " + edgeText,
		Expr:        burn(golden.RecordedFailedOver, fast*failureBudget),
		Description: fmt.Sprintf("%s of the requests failed in the last %s, as the %s reports. The objective is %g %% success.", percent, short, reports, 100*(1-failureBudget))}
	latency := Rule{Alert: "TallygateEdgeLatency", Severity: Page, Summary: "Requests are slow: " + edgeText,
		Expr:        burn(golden.RecordedSlowOver, fast*slowBudget),
		Description: fmt.Sprintf("%s of the requests took longer than %d ms in the last %s, as the %s reports. The objective is %g %% within it.", percent, golden.SlowMilliseconds, short, reports, 100*(1-slowBudget))}
	return Group{Name: "tallygate-alerts-mesh", Rules: []Rule{
		errors, lasting(errors, golden.RecordedFailedOver, slow*failureBudget),
		latency, lasting(latency, golden.RecordedSlowOver, slow*slowBudget),
		{
			Alert: "TallygateEdgeDenied", Severity: Ticket,
			Expr:        promql.Above(promql.Div(promql.Select(golden.RecordedDenied).Now(), promql.Select(golden.RecordedRequests).Now()), promql.Number(deniedShare)),
			Summary:     "A policy denies: " + edgeText,
			Description: percent + " of the requests are denied, as the " + reports + " reports.",
		},
	}}
}

// burn holds if the share of requests is above a threshold over both windows, on
// edges with enough requests.
func burn(name func(window string) string, threshold float64) promql.Expr {
	over := func(window string) promql.Expr {
		return promql.Above(promql.Div(promql.Select(name(window)).Now(), promql.Select(golden.RecordedRequestsOver(window)).Now()), promql.Number(threshold))
	}
	return often(promql.And(over(short), over(long)))
}

// lasting is the alert for what goes on for hours, below the rate of a page.
func lasting(page Rule, name func(window string) string, threshold float64) Rule {
	over := func(window string) promql.Expr {
		return promql.Above(promql.Div(promql.Select(name(short)).Total(window), promql.Select(golden.RecordedRequestsOver(short)).Total(window)), promql.Number(threshold))
	}
	page.Alert += "Lasting"
	page.Severity = Ticket
	page.Expr = often(promql.And(over(lastingShort), over(lastingLong)))
	page.Description = strings.Replace(page.Description, "the last "+short, "the last "+lastingShort, 1)
	return page
}

func often(e promql.Expr) promql.Expr {
	return promql.And(e, promql.Above(promql.Select(golden.RecordedRequestsOver(short)).Now(), promql.Number(enough)))
}
