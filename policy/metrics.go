package policy

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
)

// Names of the metrics.
const (
	MetricDecisions           = "tallygate_policy_decisions_total"
	MetricDecisionDuration    = "tallygate_policy_decision_duration_seconds"
	MetricKeyDuration         = "tallygate_policy_key_duration_seconds"
	MetricEvaluationDuration  = "tallygate_policy_evaluation_duration_seconds"
	MetricCacheRequests       = "tallygate_policy_cache_requests_total"
	MetricCacheUnstored       = "tallygate_policy_cache_unstored_total"
	MetricCacheJoined         = "tallygate_policy_cache_joined_total"
	MetricErrors              = "tallygate_policy_errors_total"
	MetricShed                = "tallygate_policy_shed_total"
	MetricActivations         = "tallygate_policy_activations_total"
	MetricDecisionLogRecords  = "tallygate_policy_decision_log_records_total"
	MetricShadowDecisions     = "tallygate_policy_shadow_decisions_total"
	MetricRecorded            = "tallygate_policy_recorded_total"
	MetricShadowDropped       = "tallygate_policy_shadow_dropped_total"
	MetricQuotaDenials        = "tallygate_policy_quota_denials_total"
	MetricCacheEntries        = "tallygate_policy_cache_entries"
	MetricCacheBytes          = "tallygate_policy_cache_bytes"
	MetricCacheEvictions      = "tallygate_policy_cache_evictions_total"
	MetricEvaluationsInFlight = "tallygate_policy_evaluations_in_flight"
	MetricEvaluationsLimit    = "tallygate_policy_evaluations_limit"
	MetricGeneration          = "tallygate_policy_generation"
	MetricGenerationAge       = "tallygate_policy_generation_age_seconds"
	MetricGenerationInfo      = "tallygate_policy_generation_info"
)

// Names of their labels.
const (
	LabelEntrypoint = "entrypoint"
	LabelVerdict    = "verdict"
	LabelRule       = "rule"
	LabelCache      = "cache"
	LabelResult     = "result"
	LabelReason     = "reason"
	LabelEnforced   = "enforced"
	LabelShadow     = "shadow"
	LabelRevision   = "revision"
)

// Verdicts as metrics and the decision log name them.
const (
	verdictAllow = "allow"
	verdictDeny  = "deny"
	verdictError = "error"
)

func verdictName(v *mesh.Verdict) string {
	if v.Allowed {
		return verdictAllow
	}
	return verdictDeny
}

// maxRules bounds the rules that have label values of their own.
const maxRules = 200

// otherRule stands for the rules beyond that.
const otherRule = "other"

type metrics struct {
	decisions *prometheus.CounterVec // by entrypoint, verdict, rule
	total     prometheus.Observer    // of hits
	totalMiss prometheus.Observer
	key       prometheus.Histogram
	evaluated prometheus.Histogram

	hits, misses, stale prometheus.Counter
	bypass              *prometheus.CounterVec // by reason
	unstored            *prometheus.CounterVec
	joined              prometheus.Counter
	errors              *prometheus.CounterVec
	shed                prometheus.Counter
	activations         prometheus.Counter
	overQuota           prometheus.Counter

	logRecords, logSampledOut, logQueueFull, logWriteErrors prometheus.Counter

	shadow        *prometheus.CounterVec // by enforced, shadow, rule
	shadowDropped prometheus.Counter

	recorded, recordSkipped, recordDropped prometheus.Counter

	mu    sync.Mutex
	rules map[string]bool
}

func newMetrics(reg prometheus.Registerer, d *Decider) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	latency := func(name, help string, first float64, n int) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(first, 2, n)}
	}
	m := &metrics{rules: map[string]bool{}}
	m.decisions = counters(MetricDecisions, "Decisions by entrypoint, verdict and the rule that decided; rules beyond the first 200 are other.", LabelEntrypoint, LabelVerdict, LabelRule)
	total := prometheus.NewHistogramVec(latency(MetricDecisionDuration, "Time from a query to its decision, by whether the cache had it.", 1e-6, 19), []string{LabelCache})
	m.total, m.totalMiss = total.WithLabelValues("hit"), total.WithLabelValues("miss")
	m.key = prometheus.NewHistogram(latency(MetricKeyDuration, "Time to make a key and look it up, of one request in 64.", 2.5e-7, 14))
	m.evaluated = prometheus.NewHistogram(latency(MetricEvaluationDuration, "Time of one evaluation of the rules.", 5e-6, 18))
	requests := counters(MetricCacheRequests, "Look-ups in the decision cache: hit, miss, stale (expired), bypass (not looked up, and why).", LabelResult, LabelReason)
	m.hits, m.misses, m.stale = requests.WithLabelValues("hit", ""), requests.WithLabelValues("miss", ""), requests.WithLabelValues("stale", "")
	m.bypass = requests.MustCurryWith(prometheus.Labels{LabelResult: "bypass"})
	for _, reason := range []string{bypassDisabled, bypassShape, bypassKey} {
		m.bypass.WithLabelValues(reason)
	}
	m.unstored = counters(MetricCacheUnstored, "Decisions that were looked up and evaluated but not kept, by reason.", LabelReason)
	for _, reason := range []string{keptNoStore, keptNoTTL, keptExpired, keptTooLarge} {
		m.unstored.WithLabelValues(reason)
	}
	m.joined = counter(MetricCacheJoined, "Misses that were answered by the evaluation of an equal one.")
	m.errors = counters(MetricErrors, "Requests that could not be judged, by reason.", LabelReason)
	for _, reason := range []string{failNoRules, failUnknown, failShed, failTimeout, failCanceled, failPanic, failQuotas, failEvaluation} {
		m.errors.WithLabelValues(reason)
	}
	m.shed = counter(MetricShed, "Evaluations that were refused because too many were under way.")
	m.activations = counter(MetricActivations, "Generations of rules that became active.")
	m.overQuota = counter(MetricQuotaDenials, "Requests that the policy allowed and a quota refused.")
	logged := counters(MetricDecisionLogRecords, "Decisions by what became of their record: written, sampled_out (over budget), queue_full, write_error.", LabelResult)
	m.logRecords, m.logSampledOut = logged.WithLabelValues("written"), logged.WithLabelValues("sampled_out")
	m.logQueueFull, m.logWriteErrors = logged.WithLabelValues("queue_full"), logged.WithLabelValues("write_error")
	m.shadow = counters(MetricShadowDecisions, "Requests that a candidate policy judged too, by both verdicts and the candidate's rule.", LabelEnforced, LabelShadow, LabelRule)
	m.shadowDropped = counter(MetricShadowDropped, "Requests that the candidate did not judge because its queue was full.")
	recorded := counters(MetricRecorded, "Decisions that a recording wanted: written, skipped (beyond its rate), dropped (writing did not keep up).", LabelResult)
	m.recorded, m.recordSkipped, m.recordDropped = recorded.WithLabelValues("written"), recorded.WithLabelValues("skipped"), recorded.WithLabelValues("dropped")
	reg.MustRegister(recorded, m.decisions, total, m.key, m.evaluated, requests, m.unstored, m.joined, m.errors, m.shed, m.activations, m.overQuota, logged, m.shadow, m.shadowDropped)
	reg.MustRegister(&collector{d: d})
	return m
}

// rule returns the label value of a rule.
func (m *metrics) rule(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rules[name] {
		return name
	}
	if len(m.rules) >= maxRules {
		return otherRule
	}
	m.rules[name] = true
	return name
}

var (
	descEntries    = prometheus.NewDesc(MetricCacheEntries, "Decisions in the cache.", nil, nil)
	descBytes      = prometheus.NewDesc(MetricCacheBytes, "Memory of the decisions in the cache.", nil, nil)
	descEvictions  = prometheus.NewDesc(MetricCacheEvictions, "Decisions that made room for others before they expired.", nil, nil)
	descInFlight   = prometheus.NewDesc(MetricEvaluationsInFlight, "Evaluations under way.", nil, nil)
	descLimit      = prometheus.NewDesc(MetricEvaluationsLimit, "Evaluations at once that are allowed at present.", nil, nil)
	descGeneration = prometheus.NewDesc(MetricGeneration, "Number of the active generation of rules, from 1; 0 before the first.", nil, nil)
	descAge        = prometheus.NewDesc(MetricGenerationAge, "Time since the active generation became active.", nil, nil)
	descInfo       = prometheus.NewDesc(MetricGenerationInfo, "1, with the revision of the active generation.", []string{LabelRevision}, nil)
)

// collector reads the figures that change without anybody counting.
type collector struct{ d *Decider }

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descEntries, descBytes, descEvictions, descInFlight, descLimit, descGeneration, descAge, descInfo} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := c.d.cache.Load().Stats()
	gauge(descEntries, float64(s.Entries))
	gauge(descBytes, float64(s.Bytes))
	ch <- prometheus.MustNewConstMetric(descEvictions, prometheus.CounterValue, float64(s.Evictions+c.d.evicted.Load()))
	inFlight, limit := c.d.limit.figures()
	gauge(descInFlight, float64(inFlight))
	gauge(descLimit, float64(int(limit)))
	g := c.d.current.Load()
	if g == nil {
		gauge(descGeneration, 0)
		return
	}
	gauge(descGeneration, float64(g.id))
	gauge(descAge, time.Since(g.since).Seconds())
	gauge(descInfo, 1, g.revision)
}
