package boards

import (
	"github.com/tallygate/tallygate/dashboards/board"
	"github.com/tallygate/tallygate/dashboards/golden"
	"github.com/tallygate/tallygate/dashboards/promql"
	"github.com/tallygate/tallygate/ingest/extauthz"
	"github.com/tallygate/tallygate/policy"
	"github.com/tallygate/tallygate/policy/opa"
)

// Policy is the policy plane: who is denied by which rule, and can it keep up.
func Policy() *board.Board {
	checks := own(extauthz.MetricChecks)
	decisions := own(policy.MetricDecisions)
	looked := own(policy.MetricCacheRequests)
	denied := []board.Column{
		{Field: golden.Source, Title: "Source"}, {Field: golden.Destination, Title: "Destination"}, {Field: golden.Service, Title: "Service", Width: 280},
		{Field: "Value #A", Title: "Denied", Unit: board.PerSecond}, {Field: "Value #B", Title: "Share", Unit: board.Ratio, Steps: board.Rising(0.05, 0.5)},
	}
	for i := range denied {
		denied[i].Link = toEdge
	}
	by := golden.Edge[1:]
	deniedBy := promql.Sum(golden.Denied(inbound...).Rate(interval), by...)
	return &board.Board{
		UID: uidPolicy, Title: "Tallygate: policy",
		Description: "Which rule denies whom, whether checks are judged at all, and what the cache and a candidate policy do.",
		Variables:   variables(jobs()...),
		Rows: []board.Row{
			{Title: "Are checks judged?", Panels: []board.Panel{
				{Kind: board.Stat, Title: "How many checks?", Unit: board.PerSecond, Width: 4, Height: 5,
					Description: "Checks answered per second. Nothing while requests flow: no ext_authz filter points here, or Envoy cannot connect and does what its failure_mode says.",
					Targets:     []board.Target{{Legend: "checks", Expr: promql.Sum(checks.Rate(interval))}}},
				{Kind: board.Stat, Title: "What is denied?", Unit: board.Ratio, Width: 4, Height: 5,
					Description: "Denials by a policy among all checks. A jump right after a new generation is the new policy's: see the rule below, and roll back by its files or bundle.",
					Targets:     []board.Target{{Legend: "denied", Expr: promql.Share(promql.Sum(checks.With(promql.Equal(extauthz.LabelOutcome, "deny")).Rate(interval)), promql.Sum(checks.Rate(interval)))}}},
				{Kind: board.Stat, Title: "Any pass unjudged?", Unit: board.PerSecond, Width: 4, Height: 5, Steps: anySteps,
					Description: "Checks that could not be judged and were let pass, because on_error is allow. Red is urgent: the policy is not in force for them. The reasons are in the graph of failures.",
					Targets:     []board.Target{{Legend: "passed unjudged", Expr: promql.Sum(checks.With(promql.Equal(extauthz.LabelOutcome, "error_allow")).Rate(interval))}}},
				{Kind: board.Stat, Title: "How long (p99)?", Unit: board.Seconds, Width: 4, Height: 5, Steps: board.Rising(0.01, 0.1),
					Description: "From a check's arrival to its answer. Envoy gives up after its own timeout (200 ms by default). When it is red, look at evaluations and at the share of hits.",
					Targets:     []board.Target{{Legend: "p99", Expr: promql.Quantile(0.99, promql.Sum(own(extauthz.MetricCheckDuration).Bucket().Rate(interval), golden.LE))}}},
				{Kind: board.Stat, Title: "What is cached?", Unit: board.Ratio, Width: 4, Height: 5,
					Description: "Hits among all look-ups. Low with a policy that could be cached: tallygate policy deps says which input it reads, and what makes it not cacheable.",
					Targets: []board.Target{{Legend: "hits", Expr: promql.Share(
						promql.Sum(looked.With(promql.Equal(policy.LabelResult, "hit")).Rate(interval)), promql.Sum(looked.Rate(interval)))}}},
				{Kind: board.Stat, Title: "Newest rules in use?", Unit: board.None, Width: 4, Height: 5, Steps: board.Falling(1, 1),
					Description: "1 if what was last seen of files and bundles is in use. Red (0): it was refused and the last good one stays; the log has the reason, and tallygate policy check has it before you ship.",
					Targets:     []board.Target{{Legend: "newest in use", Expr: promql.Min(own(opa.MetricLastLoadSuccessful).Now())}}},
			}},
			{Title: "How are checks answered?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "What became of the checks?", Unit: board.PerSecond, Width: 6, Stack: true,
					Colours:     map[string]string{"allow": "green", "deny": "orange", "error_allow": "red", "error_deny": "purple", "shed": "purple"},
					Description: "Answers by outcome: allow and deny are the policy's, error and shed are on_error's, refused are requests that cannot be read. Anything but the first two is a fault: see the reasons beside.",
					Targets:     []board.Target{{Legend: "{{" + extauthz.LabelOutcome + "}}", Expr: some(promql.Sum(checks.Rate(interval), extauthz.LabelOutcome))}}},
				{Kind: board.Graph, Title: "Why are some not judged?", Unit: board.PerSecond, Width: 6, Steps: anySteps,
					Description: "Failures by reason; red is any. deadline: the policy is too slow; overload: too few cores; error: it fails, the decision log has the message; anything here was answered by on_error.",
					Targets: []board.Target{
						{Legend: "{{" + extauthz.LabelReason + "}}", Expr: promql.Sum(own(extauthz.MetricFailures).Rate(interval), extauthz.LabelReason)},
						{Legend: "unreadable", Expr: promql.Sum(own(extauthz.MetricRequestsRefused).Rate(interval))},
					}},
				{Kind: board.Graph, Title: "How long do checks take?", Unit: board.Seconds, Width: 6,
					Description: "Quantiles from arrival to answer. When p50 rises, everything is slower: look for fewer hits; when only p99 rises, evaluations are: look at them below.",
					Targets:     ownQuantiles(own(extauthz.MetricCheckDuration))},
				{Kind: board.Graph, Title: "How many at once?", Unit: board.Short, Width: 6,
					Description: "Checks in flight and how many may be. At the limit checks are shed: give the policy plane more cores or replicas.",
					Targets: []board.Target{
						{Legend: "in flight", Expr: promql.Sum(own(extauthz.MetricChecksInFlight).Now())},
						{Legend: "limit", Expr: promql.Sum(own(extauthz.MetricChecksLimit).Now())},
					}},
			}},
			{Title: "Which rule decides, and whom does it deny?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "Which rules deny?", Unit: board.PerSecond, Width: 12, Stack: true,
					Description: "Denials by entrypoint and rule. An unexpected one: tallygate policy eval with the request's input shows why, the console shows the last denials with their lines.",
					Targets: []board.Target{{Legend: "{{" + policy.LabelEntrypoint + "}} {{" + policy.LabelRule + "}}",
						Expr: promql.Sum(decisions.With(promql.Equal(policy.LabelVerdict, "deny")).Rate(interval), policy.LabelEntrypoint, policy.LabelRule)}}},
				{Kind: board.Graph, Title: "Which rules allow?", Unit: board.PerSecond, Width: 12, Stack: true,
					Description: "Allowances by entrypoint and rule. A rule that allows much more than before is one that became too wide: compare its last change.",
					Targets: []board.Target{{Legend: "{{" + policy.LabelEntrypoint + "}} {{" + policy.LabelRule + "}}",
						Expr: promql.Sum(decisions.With(promql.Equal(policy.LabelVerdict, "allow")).Rate(interval), policy.LabelEntrypoint, policy.LabelRule)}}},
				{Kind: board.Table, Title: "Who is denied?", Unit: board.Short, Width: 24, Columns: denied,
					Description: "Edges with denials (response flag UAEX), out of the access logs. A caller whose share is red lost what it needs: tallygate tap --denied shows its requests with the rule.",
					Targets: []board.Target{
						{Instant: true, Expr: some(deniedBy)},
						{Instant: true, Expr: some(promql.Share(deniedBy, promql.Sum(golden.Requests(inbound...).Rate(interval), by...)))},
					}},
			}},
			{Title: "What does the cache do?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "How do look-ups end?", Unit: board.PerSecond, Width: 8, Stack: true,
					Description: "Look-ups by result; bypass is not looked up, and why. Many bypasses by shape: the policy reads something that differs with every request; tallygate policy deps names it.",
					Targets:     []board.Target{{Legend: "{{" + policy.LabelResult + "}} {{" + policy.LabelReason + "}}", Expr: promql.Sum(looked.Rate(interval), policy.LabelResult, policy.LabelReason)}}},
				{Kind: board.Graph, Title: "How much memory do decisions take?", Unit: board.Bytes, Width: 8,
					Description: "Bytes of the decisions that are kept. With evictions all the time it is too small for the callers and paths there are: raise policy.cache.max_size_mib.",
					Targets:     []board.Target{{Legend: "{{instance}}", Expr: own(policy.MetricCacheBytes).Now()}}},
				{Kind: board.Graph, Title: "Why are decisions not kept, or not for long?", Unit: board.PerSecond, Width: 8,
					Description: "Decisions that were not kept, by reason, and evictions for want of memory. no_ttl: the policy reads a clock or the network and states no TTL.",
					Targets: []board.Target{
						{Legend: "{{" + policy.LabelReason + "}}", Expr: promql.Sum(own(policy.MetricCacheUnstored).Rate(interval), policy.LabelReason)},
						{Legend: "evicted", Expr: promql.Sum(own(policy.MetricCacheEvictions).Rate(interval))},
					}},
				{Kind: board.Graph, Title: "How long do evaluations take?", Unit: board.Seconds, Width: 8,
					Description: "Time of one evaluation of the rules, which only misses pay. When it rises with a new generation, the new policy is slower: tallygate bench compares them.",
					Targets:     ownQuantiles(own(policy.MetricEvaluationDuration))},
				{Kind: board.Graph, Title: "How many evaluations are under way?", Unit: board.Short, Width: 8,
					Description: "Evaluations at once and the limit, which adapts to the cores. At the limit requests are shed and on_error answers: see shed.",
					Targets: []board.Target{
						{Legend: "under way", Expr: promql.Sum(own(policy.MetricEvaluationsInFlight).Now())},
						{Legend: "limit", Expr: promql.Sum(own(policy.MetricEvaluationsLimit).Now())},
						{Legend: "shed per second", Expr: promql.Sum(own(policy.MetricShed).Rate(interval))},
					}},
				{Kind: board.Graph, Title: "Is every decision logged?", Unit: board.PerSecond, Width: 8,
					Description: "Decisions by what became of their record. queue_full or write_error: whoever takes the log is too slow or gone; decisions are made all the same.",
					Targets:     []board.Target{{Legend: "{{" + policy.LabelResult + "}}", Expr: promql.Sum(own(policy.MetricDecisionLogRecords).Rate(interval), policy.LabelResult)}}},
			}},
			{Title: "Would the candidate decide otherwise, and what is in use?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "Where does the candidate differ?", Unit: board.PerSecond, Width: 8,
					Description: "Requests on which the shadow policy differs, by its rule. Both lines at nothing under real traffic is when to enforce it; else tallygate policy diff shows the requests.",
					Targets: []board.Target{
						{Legend: "allow → deny {{" + policy.LabelRule + "}}", Expr: promql.Sum(own(policy.MetricShadowDecisions, promql.Equal(policy.LabelEnforced, "allow"), promql.Equal(policy.LabelShadow, "deny")).Rate(interval), policy.LabelRule)},
						{Legend: "deny → allow {{" + policy.LabelRule + "}}", Expr: promql.Sum(own(policy.MetricShadowDecisions, promql.Equal(policy.LabelEnforced, "deny"), promql.Equal(policy.LabelShadow, "allow")).Rate(interval), policy.LabelRule)},
						{Legend: "not judged", Expr: promql.Sum(own(policy.MetricShadowDropped).Rate(interval))},
					}},
				{Kind: board.Graph, Title: "Which generation is in use?", Unit: board.Short, Width: 8,
					Description: "The number of the generation on each replica. Replicas that do not follow cannot read the files or bundles: their log says why.",
					Targets:     []board.Target{{Legend: "{{instance}}", Expr: own(policy.MetricGeneration).Now()}}},
				{Kind: board.Graph, Title: "Are changes of policies refused?", Unit: board.Short, Width: 8, Steps: anySteps,
					Description: "Refused changes by source. When it is red, the last good generation stays in use; the log has file, line and reason.",
					Targets:     []board.Target{{Legend: "{{" + opa.LabelSource + "}}", Expr: promql.Sum(own(opa.MetricRefusals).Increase(interval), opa.LabelSource)}}},
			}},
		},
	}
}

// own selects Tallygate's own metrics, which its admin endpoint serves.
func own(name string, m ...promql.Matcher) promql.Metric {
	return promql.Select(name, adminJob).With(m...)
}

// ownQuantiles are the quantiles of one of our own histograms.
func ownQuantiles(h promql.Metric) (out []board.Target) {
	buckets := promql.Sum(h.Bucket().Rate(interval), golden.LE)
	for _, q := range []struct {
		q    float64
		name string
	}{{0.5, "p50"}, {0.9, "p90"}, {0.99, "p99"}} {
		out = append(out, board.Target{Legend: q.name, Expr: promql.Quantile(q.q, buckets)})
	}
	return out
}
