package quota

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
)

// Names of the metrics.
const (
	MetricCharges        = "tallygate_quota_charges_total"
	MetricTokens         = "tallygate_quota_tokens_total"
	MetricNearLimit      = "tallygate_quota_near_limit_total"
	MetricAnswers        = "tallygate_quota_answers_total"
	MetricOverflow       = "tallygate_quota_overflow_charges_total"
	MetricKeys           = "tallygate_quota_keys"
	MetricBytes          = "tallygate_quota_table_bytes"
	MetricTopKeyCharges  = "tallygate_quota_top_key_charges"
	MetricTopKeyUsed     = "tallygate_quota_top_key_used_ratio"
	MetricSnapshotErrors = "tallygate_quota_snapshot_errors_total"

	MetricRedisUp        = "tallygate_quota_redis_up"
	MetricRedisBatches   = "tallygate_quota_redis_batches_total"
	MetricRedisItems     = "tallygate_quota_redis_items_total"
	MetricRedisRoundTrip = "tallygate_quota_redis_round_trip_seconds"
	MetricRedisErrors    = "tallygate_quota_redis_errors_total"
	MetricRedisWaits     = "tallygate_quota_redis_waits_total"
	MetricRedisRefused   = "tallygate_quota_redis_taken_back_total"
	MetricLeaseTokens    = "tallygate_quota_lease_tokens_total"
	MetricLeaseTokenHeld = "tallygate_quota_lease_tokens_held"
	MetricLeaseKeys      = "tallygate_quota_lease_keys"
)

// Names of their labels.
const (
	LabelQuota  = "quota"
	LabelResult = "result"
	LabelSource = "source"
	LabelKey    = "key"
	LabelReason = "reason"
	LabelState  = "state"
)

// Results of a charge as metrics name them.
const (
	resultPassed     = "passed"
	resultOver       = "over"
	resultShadowOver = "shadow_over"
	resultSpared     = "spared"
)

var (
	descCharges   = prometheus.NewDesc(MetricCharges, "Charges by quota and result: passed, over (refused), shadow_over (would have been), spared (another quota of the request refused). Quotas beyond the first 256 are other.", []string{LabelQuota, LabelResult}, nil)
	descTokens    = prometheus.NewDesc(MetricTokens, "Tokens that passing requests took.", []string{LabelQuota}, nil)
	descNear      = prometheus.NewDesc(MetricNearLimit, "Charges that passed and left less than a fifth of the limit.", []string{LabelQuota}, nil)
	descAnswers   = prometheus.NewDesc(MetricAnswers, "Charges by who answered: local, lease, redis, overflow (the shared limit of new keys in a full table), fallback (local while Redis cannot be asked), failed (on_error).", []string{LabelQuota, LabelSource}, nil)
	descOverflow  = prometheus.NewDesc(MetricOverflow, "Charges of keys that found no room and shared the overflow limit of their quota.", nil, nil)
	descKeys      = prometheus.NewDesc(MetricKeys, "Keys in the local table, those that are full again included until their place is wanted.", nil, nil)
	descBytes     = prometheus.NewDesc(MetricBytes, "Memory of the local table.", nil, nil)
	descTop       = prometheus.NewDesc(MetricTopKeyCharges, "Charges of the keys of a quota with the most, since each key came; all others together are other.", []string{LabelQuota, LabelKey}, nil)
	descTopUsed   = prometheus.NewDesc(MetricTopKeyUsed, "Share of its limit that each of these keys has used, 0 to 1.", []string{LabelQuota, LabelKey}, nil)
	descSnapshots = prometheus.NewDesc(MetricSnapshotErrors, "Snapshots of the local table that could not be written or restored.", nil, nil)

	descRedisUp      = prometheus.NewDesc(MetricRedisUp, "1 while Redis is asked, 0 while on_error answers because it does not.", nil, nil)
	descRedisBatches = prometheus.NewDesc(MetricRedisBatches, "Round trips to Redis.", nil, nil)
	descRedisItems   = prometheus.NewDesc(MetricRedisItems, "Keys that Redis was asked for, in all batches.", nil, nil)
	descRedisErrors  = prometheus.NewDesc(MetricRedisErrors, "Round trips that failed, in whole or in part, by reason.", []string{LabelReason}, nil)
	descRedisWaits   = prometheus.NewDesc(MetricRedisWaits, "Charges that waited for Redis.", nil, nil)
	descRedisRefused = prometheus.NewDesc(MetricRedisRefused, "Quotas that were taken from Redis and given back because another quota of the request refused.", nil, nil)
	descLeaseTokens  = prometheus.NewDesc(MetricLeaseTokens, "Tokens by what became of them: granted (by Redis) = spent + returned + expired (not given back: their window was over, or Redis did not answer) + those held.", []string{LabelState}, nil)
	descLeaseHeld    = prometheus.NewDesc(MetricLeaseTokenHeld, "Tokens in leases.", nil, nil)
	descLeaseKeys    = prometheus.NewDesc(MetricLeaseKeys, "Keys that this process keeps leases or refusals of.", nil, nil)
)

// newRoundTrips is the histogram of how long Redis takes.
func newRoundTrips() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: MetricRedisRoundTrip, Help: "Time of a round trip to Redis, those that failed included.", Buckets: prometheus.ExponentialBuckets(1e-4, 2, 14),
	})
}

// collector reads the books when somebody asks.
type collector struct{ l *Limiter }

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descCharges, descTokens, descNear, descAnswers, descOverflow, descKeys, descBytes, descTop, descTopUsed, descSnapshots,
		descRedisUp, descRedisBatches, descRedisItems, descRedisErrors, descRedisWaits, descRedisRefused, descLeaseTokens, descLeaseHeld, descLeaseKeys} {
		ch <- d
	}
	newRoundTrips().Describe(ch)
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, f := range c.l.register.all() {
		counter(descCharges, f.passed.Load(), f.name, resultPassed)
		counter(descCharges, f.over.Load(), f.name, resultOver)
		counter(descCharges, f.shadowOver.Load(), f.name, resultShadowOver)
		counter(descCharges, f.spared.Load(), f.name, resultSpared)
		counter(descTokens, f.tokens.Load(), f.name)
		counter(descNear, f.near.Load(), f.name)
		for s := range f.bySource {
			if n := f.bySource[s].Load(); n > 0 {
				counter(descAnswers, n, f.name, mesh.QuotaSource(s).String())
			}
		}
	}
	counter(descOverflow, c.l.local.overflowed.Load())
	counter(descSnapshots, c.l.snapshotErrors.Load())
	keys, bytes := c.l.local.size()
	gauge(descKeys, float64(keys))
	gauge(descBytes, float64(bytes))
	if s := c.l.shared; s != nil {
		up := 0.0
		if s.batcher.breaker.closed() {
			up = 1
		}
		gauge(descRedisUp, up)
		counter(descRedisBatches, s.batcher.batches.Load())
		counter(descRedisItems, s.batcher.items.Load())
		for i, reason := range failureReasons {
			counter(descRedisErrors, s.batcher.failures[i].Load(), reason)
		}
		s.batcher.roundTrips.Collect(ch)
		counter(descRedisWaits, s.waits.Load())
		counter(descRedisRefused, s.refused.Load())
		counter(descLeaseTokens, s.books.granted.Load(), "granted")
		counter(descLeaseTokens, s.books.spent.Load(), "spent")
		counter(descLeaseTokens, s.books.returned.Load(), "returned")
		counter(descLeaseTokens, s.books.expired.Load(), "expired")
		keys, held := s.held()
		gauge(descLeaseHeld, float64(held))
		gauge(descLeaseKeys, float64(keys))
	}
	for _, n := range c.l.tops() {
		for _, k := range n.keys {
			key := strings.ToValidUTF8(k.Key, "\uFFFD")
			gauge(descTop, float64(k.Charges), n.name, key)
			gauge(descTopUsed, k.Used, n.name, key)
		}
		gauge(descTop, float64(n.others), n.name, otherName)
	}
}
