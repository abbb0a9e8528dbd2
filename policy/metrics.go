package policy

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
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

	logRecords, logSampledOut, logQueueFull, logWriteErrors prometheus.Counter

	shadow        *prometheus.CounterVec // by enforced, shadow, rule
	shadowDropped prometheus.Counter

	mu    sync.Mutex
	rules map[string]bool
}

func newMetrics(reg prometheus.Registerer, d *Decider) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "tallygate_policy_" + name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tallygate_policy_" + name, Help: help}, labels)
	}
	latency := func(name, help string, first float64, n int) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: "tallygate_policy_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(first, 2, n)}
	}
	m := &metrics{rules: map[string]bool{}}
	m.decisions = counters("decisions_total", "Decisions by entrypoint, verdict and the rule that decided; rules beyond the first 200 are other.", "entrypoint", "verdict", "rule")
	total := prometheus.NewHistogramVec(latency("decision_duration_seconds", "Time from a query to its decision, by whether the cache had it.", 1e-6, 19), []string{"cache"})
	m.total, m.totalMiss = total.WithLabelValues("hit"), total.WithLabelValues("miss")
	m.key = prometheus.NewHistogram(latency("key_duration_seconds", "Time to make a key and look it up, of one request in 64.", 2.5e-7, 14))
	m.evaluated = prometheus.NewHistogram(latency("evaluation_duration_seconds", "Time of one evaluation of the rules.", 5e-6, 18))
	requests := counters("cache_requests_total", "Look-ups in the decision cache: hit, miss, stale (expired), bypass (not looked up, and why).", "result", "reason")
	m.hits, m.misses, m.stale = requests.WithLabelValues("hit", ""), requests.WithLabelValues("miss", ""), requests.WithLabelValues("stale", "")
	m.bypass = requests.MustCurryWith(prometheus.Labels{"result": "bypass"})
	for _, reason := range []string{bypassDisabled, bypassShape, bypassKey} {
		m.bypass.WithLabelValues(reason)
	}
	m.unstored = counters("cache_unstored_total", "Decisions that were looked up and evaluated but not kept, by reason.", "reason")
	for _, reason := range []string{keptNoStore, keptNoTTL, keptExpired, keptTooLarge} {
		m.unstored.WithLabelValues(reason)
	}
	m.joined = counter("cache_joined_total", "Misses that were answered by the evaluation of an equal one.")
	m.errors = counters("errors_total", "Requests that could not be judged, by reason.", "reason")
	for _, reason := range []string{failNoRules, failUnknown, failShed, failTimeout, failCanceled, failPanic, failEvaluation} {
		m.errors.WithLabelValues(reason)
	}
	m.shed = counter("shed_total", "Evaluations that were refused because too many were under way.")
	m.activations = counter("activations_total", "Generations of rules that became active.")
	logged := counters("decision_log_records_total", "Decisions by what became of their record: written, sampled_out (over budget), queue_full, write_error.", "result")
	m.logRecords, m.logSampledOut = logged.WithLabelValues("written"), logged.WithLabelValues("sampled_out")
	m.logQueueFull, m.logWriteErrors = logged.WithLabelValues("queue_full"), logged.WithLabelValues("write_error")
	m.shadow = counters("shadow_decisions_total", "Requests that a candidate policy judged too, by both verdicts and the candidate's rule.", "enforced", "shadow", "rule")
	m.shadowDropped = counter("shadow_dropped_total", "Requests that the candidate did not judge because its queue was full.")
	reg.MustRegister(m.decisions, total, m.key, m.evaluated, requests, m.unstored, m.joined, m.errors, m.shed, m.activations, logged, m.shadow, m.shadowDropped)
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
	descEntries    = prometheus.NewDesc("tallygate_policy_cache_entries", "Decisions in the cache.", nil, nil)
	descBytes      = prometheus.NewDesc("tallygate_policy_cache_bytes", "Memory of the decisions in the cache.", nil, nil)
	descEvictions  = prometheus.NewDesc("tallygate_policy_cache_evictions_total", "Decisions that made room for others before they expired.", nil, nil)
	descInFlight   = prometheus.NewDesc("tallygate_policy_evaluations_in_flight", "Evaluations under way.", nil, nil)
	descLimit      = prometheus.NewDesc("tallygate_policy_evaluations_limit", "Evaluations at once that are allowed at present.", nil, nil)
	descGeneration = prometheus.NewDesc("tallygate_policy_generation", "Number of the active generation of rules, from 1; 0 before the first.", nil, nil)
	descAge        = prometheus.NewDesc("tallygate_policy_generation_age_seconds", "Time since the active generation became active.", nil, nil)
	descInfo       = prometheus.NewDesc("tallygate_policy_generation_info", "1, with the revision of the active generation.", []string{"revision"}, nil)
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
