package boards

import (
	"github.com/tallygate/tallygate/dashboards/board"
	"github.com/tallygate/tallygate/dashboards/golden"
	"github.com/tallygate/tallygate/dashboards/promql"
	"github.com/tallygate/tallygate/ingest/ratelimit"
	"github.com/tallygate/tallygate/policy/quota"
)

// Quotas is who uses how much of what is allowed.
func Quotas() *board.Board {
	charges := own(quota.MetricCharges)
	result := func(r string) promql.Metric { return charges.With(promql.Equal(quota.LabelResult, r)) }
	answers := own(quota.MetricAnswers)
	return &board.Board{
		UID: uidQuotas, Title: "Tallygate: quotas",
		Description: "Which quotas refuse, who is near a limit, and who answers: this process, a lease, Redis, or nobody.",
		Variables: append(variables(jobs()...),
			board.Variable{Name: "quota", Label: "Quota", Multi: true, Query: board.Labels(own(quota.MetricCharges), quota.LabelQuota)}),
		Rows: []board.Row{
			{Title: "Do quotas hold?", Panels: []board.Panel{
				{Kind: board.Stat, Title: "How many charges?", Unit: board.OpsPerSecond, Width: 4, Height: 5,
					Description: "Charges per second. Nothing while requests flow: no decision names a quota; tallygate policy eval shows what a policy names.",
					Targets:     []board.Target{{Legend: "charges", Expr: promql.Sum(charges.Rate(interval))}}},
				{Kind: board.Stat, Title: "How many refused?", Unit: board.OpsPerSecond, Width: 4, Height: 5,
					Description: "Charges that were refused because a limit is reached. Many at once: find the quota beside and the key below, with tallygate quota top.",
					Targets:     []board.Target{{Legend: "refused", Expr: promql.Sum(result("over").Rate(interval))}}},
				{Kind: board.Stat, Title: "How many near?", Unit: board.OpsPerSecond, Width: 4, Height: 5,
					Description: "Charges that passed and left less than a fifth of the limit. It rises before refusals do: talk to that caller, or raise the limit, in time.",
					Targets:     []board.Target{{Legend: "near a limit", Expr: promql.Sum(own(quota.MetricNearLimit).Rate(interval))}}},
				{Kind: board.Stat, Title: "Any without source?", Unit: board.OpsPerSecond, Width: 4, Height: 5, Steps: anySteps,
					Description: "Charges that the source of the quotas did not answer: counted locally instead, or answered by on_error. Red: Redis cannot be asked; see the answers below and its own state.",
					Targets: []board.Target{{Legend: "without source", Expr: promql.Sum(golden.OrZero(
						answers.With(promql.Match(quota.LabelSource, golden.WithoutSource)).Rate(interval), charges.Rate(interval)))}}},
				{Kind: board.Stat, Title: "How many keys?", Unit: board.Short, Width: 4, Height: 5,
					Description: "Keys in the local tables. When the table is full new keys share one limit: see overflow, and raise quota.local.max_size_mib.",
					Targets:     []board.Target{{Legend: "keys", Expr: promql.Sum(own(quota.MetricKeys).Now())}}},
				{Kind: board.Stat, Title: "Any overflow?", Unit: board.OpsPerSecond, Width: 4, Height: 5, Steps: anySteps,
					Description: "Charges of new keys that found no room and shared the overflow limit. Red: somebody makes up keys, or the table is too small: quota.local.max_size_mib.",
					Targets:     []board.Target{{Legend: "overflow", Expr: promql.Sum(own(quota.MetricOverflow).Rate(interval))}}},
			}},
			{Title: "Which quota?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "Which quotas refuse?", Unit: board.OpsPerSecond, Width: 12, Stack: true,
					Description: "Refused charges by quota. When one begins to refuse after a change, its limit was lowered or its key became too coarse: tallygate quota explain says what it counts.",
					Targets:     []board.Target{{Legend: "{{" + quota.LabelQuota + "}}", Expr: promql.Sum(result("over").With(chosenQuota).Rate(interval), quota.LabelQuota)}}},
				{Kind: board.Graph, Title: "Which quotas are near their limit?", Unit: board.OpsPerSecond, Width: 12, Stack: true,
					Description: "Charges that left less than a fifth, by quota. When it stays, the limit is what callers live by: raise it, or slow them before it refuses.",
					Targets:     []board.Target{{Legend: "{{" + quota.LabelQuota + "}}", Expr: promql.Sum(own(quota.MetricNearLimit, chosenQuota).Rate(interval), quota.LabelQuota)}}},
				{Kind: board.Graph, Title: "How do charges end?", Unit: board.OpsPerSecond, Width: 8, Stack: true,
					Colours:     map[string]string{"passed": "green", "over": "red", "shadow_over": "orange"},
					Description: "Charges by result. shadow_over would have been refused: enforce such a quota when this is what you want. spared: another quota of the same request refused.",
					Targets:     []board.Target{{Legend: "{{" + quota.LabelResult + "}}", Expr: promql.Sum(charges.With(chosenQuota).Rate(interval), quota.LabelResult)}}},
				{Kind: board.Graph, Title: "How much is used?", Unit: board.OpsPerSecond, Width: 8,
					Description: "Tokens that passing requests took, by quota. Compare it with the limit times the number of keys: far below, and the limit protects from nothing.",
					Targets:     []board.Target{{Legend: "{{" + quota.LabelQuota + "}}", Expr: promql.Sum(own(quota.MetricTokens, chosenQuota).Rate(interval), quota.LabelQuota)}}},
				{Kind: board.Graph, Title: "Who answers?", Unit: board.OpsPerSecond, Width: 8, Stack: true,
					Description: "Charges by who answered: this process, a lease of Redis, Redis itself. fallback and failed: Redis cannot be asked. Many by redis itself: leases are too small for the traffic.",
					Targets:     []board.Target{{Legend: "{{" + quota.LabelSource + "}}", Expr: promql.Sum(answers.With(chosenQuota).Rate(interval), quota.LabelSource)}}},
			}},
			{Title: "Does Redis keep up?", Panels: []board.Panel{
				{Kind: board.Stat, Title: "Is Redis asked?", Unit: board.None, Width: 4, Height: 8, Steps: board.Falling(1, 1),
					Description: "1 if every replica asks Redis. Red (0): the breaker of one is open, since Redis does not answer; on_error answers meanwhile and replicas count for themselves. Nothing: quota.source is local.",
					Targets:     []board.Target{{Legend: "asked", Expr: promql.Min(own(quota.MetricRedisUp).Now())}}},
				{Kind: board.Graph, Title: "How many round trips?", Unit: board.PerSecond, Width: 6,
					Description: "Round trips to Redis, and the charges that waited for one. Leases keep both far below the charges; when they come near, quotas are sync, or their limits too small to be split.",
					Targets: []board.Target{
						{Legend: "round trips", Expr: promql.Sum(own(quota.MetricRedisBatches).Rate(interval))},
						{Legend: "charges that waited", Expr: promql.Sum(own(quota.MetricRedisWaits).Rate(interval))},
					}},
				{Kind: board.Graph, Title: "How long do they take?", Unit: board.Seconds, Width: 7,
					Description: "Quantiles of a round trip. At quota.redis.timeout on_error answers: look at Redis' SLOWLOG and at the network, or give it a core of its own.",
					Targets:     ownQuantiles(own(quota.MetricRedisRoundTrip))},
				{Kind: board.Graph, Title: "Why do they fail?", Unit: board.PerSecond, Width: 7, Steps: anySteps,
					Description: "Round trips that failed in whole or in part, by reason. Red: auth is the ACL user, failover a replica or a part of the Cluster without a master, oom its maxmemory; the log of Redis has more.",
					Targets:     []board.Target{{Legend: "{{" + quota.LabelReason + "}}", Expr: promql.Sum(own(quota.MetricRedisErrors).Rate(interval), quota.LabelReason)}}},
				{Kind: board.Graph, Title: "What becomes of tokens taken ahead?", Unit: board.PerSecond, Width: 12,
					Description: "Tokens that Redis granted, and how they ended. Much that is returned was taken for demand that went elsewhere; much that expires was lost to callers: Redis did not answer when it was to go back, or the window was over.",
					Targets:     []board.Target{{Legend: "{{" + quota.LabelState + "}}", Expr: promql.Sum(own(quota.MetricLeaseTokens).Rate(interval), quota.LabelState)}}},
				{Kind: board.Graph, Title: "How much is held?", Unit: board.Short, Width: 12,
					Description: "Tokens in leases, which nobody else can have for quota.redis.lease_max_age, and the keys that replicas keep leases or refusals of. A replica keeps 131,072 keys; what comes beyond asks Redis each time.",
					Targets: []board.Target{
						{Legend: "tokens, {{instance}}", Expr: promql.Sum(own(quota.MetricLeaseTokenHeld).Now(), "instance")},
						{Legend: "keys, {{instance}}", Expr: promql.Sum(own(quota.MetricLeaseKeys).Now(), "instance")},
					}},
			}},
			{Title: "How are Envoy's rate limit requests answered?", Panels: []board.Panel{
				{Kind: board.Graph, Title: "What became of the requests?", Unit: board.PerSecond, Width: 8, Stack: true,
					Colours:     map[string]string{"ok": "green", "over_limit": "orange", "error_allow": "red", "error_deny": "purple"},
					Description: "Answers of the RateLimitService by outcome. error_* are on_error's: the limits were not known; see the reasons beside. refused could not be read.",
					Targets:     []board.Target{{Legend: "{{" + ratelimit.LabelOutcome + "}}", Expr: promql.Sum(own(ratelimit.MetricRequests).Rate(interval), ratelimit.LabelOutcome)}}},
				{Kind: board.Graph, Title: "Why are limits not known?", Unit: board.PerSecond, Width: 8, Steps: anySteps,
					Description: "Requests that were answered as on_error says, by reason. Red: deadline and overload are want of cores, or a slow Redis; error is in the log.",
					Targets:     []board.Target{{Legend: "{{" + ratelimit.LabelReason + "}}", Expr: promql.Sum(own(ratelimit.MetricFailures).Rate(interval), ratelimit.LabelReason)}}},
				{Kind: board.Graph, Title: "How long do answers take?", Unit: board.Seconds, Width: 8,
					Description: "Quantiles from arrival to answer. Envoy waits 20 ms by default and then lets pass: when p99 comes near, look at what answers above.",
					Targets:     ownQuantiles(own(ratelimit.MetricDuration))},
				{Kind: board.Graph, Title: "Which limits are hit?", Unit: board.OpsPerSecond, Width: 12,
					Description: "Hits by limit of the descriptors' YAML and what became of them. A limit that is over all the time is what its callers live by: raise it, or talk to them.",
					Targets:     []board.Target{{Legend: "{{" + ratelimit.LabelLimit + "}} {{" + ratelimit.LabelResult + "}}", Expr: promql.Sum(own(ratelimit.MetricHits).Rate(interval), ratelimit.LabelLimit, ratelimit.LabelResult)}}},
				{Kind: board.Graph, Title: "Do descriptors meet a limit?", Unit: board.OpsPerSecond, Width: 12, Stack: true,
					Description: "Descriptors by whether a limit bears on them. When many are not matched, proxies send what no limit names: compare the route's actions with the YAML.",
					Targets:     []board.Target{{Legend: "matched {{" + ratelimit.LabelMatched + "}}", Expr: promql.Sum(own(ratelimit.MetricDescriptors).Rate(interval), ratelimit.LabelMatched)}}},
			}},
			{Title: "Which key?", Panels: []board.Panel{
				{Kind: board.Table, Title: "Whose keys are used most?", Unit: board.Short, Width: 24,
					Description: "The keys of each quota with the most charges, and how much of their limit they have used. Red: at the limit; tallygate quota get shows one on every replica, reset forgives it.",
					Columns: []board.Column{
						{Field: quota.LabelQuota, Title: "Quota"}, {Field: quota.LabelKey, Title: "Key", Width: 360}, {Field: "instance", Title: "Replica"},
						{Field: "Value #A", Title: "Used", Unit: board.Ratio, Steps: board.Rising(0.8, 0.95)},
						{Field: "Value #B", Title: "Charges", Unit: board.Short},
					},
					Targets: []board.Target{
						{Instant: true, Expr: promql.Max(own(quota.MetricTopKeyUsed, chosenQuota).Now(), quota.LabelQuota, quota.LabelKey, "instance")},
						{Instant: true, Expr: promql.Max(own(quota.MetricTopKeyCharges, chosenQuota).Now(), quota.LabelQuota, quota.LabelKey, "instance")},
					}},
				{Kind: board.Graph, Title: "How large is the table?", Unit: board.Bytes, Width: 12,
					Description: "Memory of the local table of each replica. Near quota.local.max_size_mib new keys share one limit: raise it, or choose coarser keys.",
					Targets:     []board.Target{{Legend: "{{instance}}", Expr: own(quota.MetricBytes).Now()}}},
				{Kind: board.Graph, Title: "Are snapshots written?", Unit: board.Short, Width: 12, Steps: anySteps,
					Description: "Snapshots of the table that could not be written or restored. Red: a restart would forgive everybody; the log has the reason, mostly the disk.",
					Targets:     []board.Target{{Legend: "failed, {{instance}}", Expr: own(quota.MetricSnapshotErrors).Increase(interval)}}},
			}},
		},
	}
}

var chosenQuota = promql.Match(quota.LabelQuota, "$quota")
