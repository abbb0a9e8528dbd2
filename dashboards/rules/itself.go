package rules

import (
	"github.com/tallygate/tallygate/dashboards/golden"
	"github.com/tallygate/tallygate/dashboards/promql"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/als"
	"github.com/tallygate/tallygate/ingest/extauthz"
	"github.com/tallygate/tallygate/internal/telemetry"
	"github.com/tallygate/tallygate/policy/opa"
	"github.com/tallygate/tallygate/policy/quota"
	"github.com/tallygate/tallygate/red"
	"github.com/tallygate/tallygate/spans"
)

const instance = "{{ $labels.instance }}"

// itself are the alerts on Tallygate.
func itself() Group {
	target := []string{"job", "instance"}
	rises := func(m promql.Metric, window string, labels ...string) promql.Expr {
		return promql.Above(promql.Sum(m.Increase(window), append(target, labels...)...), promql.Number(0))
	}
	// Both endpoints serve the books: those beside the mesh's metrics count.
	book := func(e promql.Expr) promql.Expr {
		return promql.AndOn(e, promql.Select(red.MetricBuild, promql.Equal("component", "tallygate")).Now(), target...)
	}
	checks := func(outcome string) promql.Metric {
		return promql.Select(extauthz.MetricChecks, promql.Match(extauthz.LabelOutcome, outcome))
	}
	expiry := promql.Select(ingest.MetricTLSCertificateExpiry)
	week := promql.Number(7 * 24 * 3600)
	return Group{Name: "tallygate-alerts-itself", Rules: []Rule{
		{
			Alert: "TallygateAbsent", Severity: Page, For: "5m",
			Expr:        promql.Absent(promql.Select(red.MetricBuild, promql.Equal("component", "tallygate"))),
			Summary:     "Nobody counts the mesh's requests",
			Description: "Prometheus has no metrics of any Tallygate: it is down, or it is not scraped.",
		},
		{
			Alert: "TallygateIngestLoss", Severity: Ticket,
			Expr:        book(rises(promql.Select(als.MetricEntriesDropped), "5m", als.LabelReason)),
			Summary:     "Access-log entries are lost at " + instance,
			Description: "{{ $value | humanize }} entries were dropped in the last 5m: {{ $labels.reason }}. They are in no metric.",
		},
		{
			Alert: "TallygateMessagesRefused", Severity: Ticket,
			Expr:        book(rises(promql.Select(als.MetricFramesRefused), "5m", als.LabelReason)),
			Summary:     "Whole messages of access logs are refused at " + instance,
			Description: "{{ $value | humanize }} messages were refused in the last 5m: {{ $labels.reason }}. Their entries are in no metric.",
		},
		{
			Alert: "TallygatePolicyFailingOpen", Severity: Page,
			Expr:        rises(checks("error_allow"), "5m", extauthz.LabelListener),
			Summary:     "Requests pass without being judged at " + instance,
			Description: "{{ $value | humanize }} checks could not be judged in the last 5m and were allowed, as on_error says: the policy is not in force for them.",
		},
		{
			Alert: "TallygatePolicyFailingClosed", Severity: Page,
			Expr:        rises(checks("error_deny|error_response|shed"), "5m", extauthz.LabelOutcome),
			Summary:     "Requests are refused without being judged at " + instance,
			Description: "{{ $value | humanize }} checks could not be judged in the last 5m: {{ $labels.outcome }}.",
		},
		{
			Alert: "TallygateQuotaSourceDown", Severity: Page,
			Expr:        rises(promql.Select(quota.MetricAnswers, promql.Match(quota.LabelSource, golden.WithoutSource)), "5m", quota.LabelQuota, quota.LabelSource),
			Summary:     "The source of quotas cannot be asked at " + instance,
			Description: "{{ $value | humanize }} charges of {{ $labels.quota }} in the last 5m were answered without it ({{ $labels.source }}): its limit does not hold over all replicas.",
		},
		{
			Alert: "TallygateSpansLost", Severity: Ticket,
			Expr:        book(rises(promql.Select(spans.MetricDropped), "5m", spans.LabelExporter, spans.LabelReason)),
			Summary:     "Spans are lost at " + instance,
			Description: "{{ $value | humanize }} spans for {{ $labels.exporter }} were dropped in the last 5m: {{ $labels.reason }}.",
		},
		{
			Alert: "TallygatePolicyRefused", Severity: Ticket, For: "1m",
			Expr:        promql.Is(promql.Select(opa.MetricLastLoadSuccessful).Now(), 0),
			Summary:     "The newest policies are not in use at " + instance,
			Description: "They were refused, and the last good ones stay in force.",
		},
		{
			Alert: "TallygateReloadFailed", Severity: Ticket,
			Expr:        promql.Is(promql.Select(telemetry.MetricLastReloadSuccess).Now(), 0),
			Summary:     "The configuration was not reloaded at " + instance,
			Description: "The last reload was refused and the configuration before it stays. A restart would fail, or do something else.",
		},
		{
			Alert: "TallygateSeriesCapHit", Severity: Ticket,
			Expr: promql.Or(
				book(rises(promql.Select(red.MetricEntriesOverflowed), "10m", red.LabelView)),
				book(rises(promql.Select(red.MetricLabelsCapped), "10m", red.LabelLabel))),
			Summary:     "The table of series is full at " + instance,
			Description: "{{ $value | humanize }} entries were counted under overflow in the last 10m ({{ $labels.view }}{{ $labels.label }}): rates are right, their labels are lost.",
		},
		{
			Alert: "TallygateCertificateExpires", Severity: Ticket,
			Expr:        promql.And(promql.Below(promql.Less(expiry.Now(), promql.Time()), week), promql.Above(expiry.Now(), promql.Number(0))),
			Summary:     "A certificate of " + instance + " expires within a week",
			Description: "The listener {{ $labels.listener }} has {{ $value | humanizeDuration }} left, and its files have not changed.",
		},
	}}
}
