package als

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Names of the metrics.
const (
	MetricStreamsEnded          = "tallygate_als_streams_ended_total"
	MetricIdentityMismatches    = "tallygate_als_identity_mismatches_total"
	MetricIdentityRefused       = "tallygate_als_identity_refused_total"
	MetricIdentityConflicts     = "tallygate_als_identity_conflicts_total"
	MetricPeerMetadataMalformed = "tallygate_als_peer_metadata_malformed_total"
	MetricLabelsRepaired        = "tallygate_als_labels_repaired_total"
	MetricLearnedConflicts      = "tallygate_als_learned_conflicts_total"
	MetricLearnedRefused        = "tallygate_als_learned_refused_total"
	MetricLearnedUnproved       = "tallygate_als_learned_unproved_total"
	MetricTCPBaselines          = "tallygate_als_tcp_baselines_total"
	MetricTCPEvictions          = "tallygate_als_tcp_evictions_total"
	MetricIdentityMisses        = "tallygate_als_identity_misses_total"
	MetricMessageLatency        = "tallygate_als_message_latency_seconds"
	MetricStreams               = "tallygate_als_streams"
	MetricMemoEntries           = "tallygate_als_memo_entries"
	MetricLearnedEntries        = "tallygate_als_learned_entries"
	MetricTCPConnections        = "tallygate_als_tcp_connections"
)

// Names of their labels.
const (
	LabelReason = "reason"
	LabelSide   = "side"
)

// metrics are the figures of the package that are not the books.
type metrics struct {
	latency          prometheus.Histogram
	sessions         *prometheus.CounterVec // by how they ended
	mismatches       prometheus.Counter
	refused          prometheus.Counter
	conflicts        *prometheus.CounterVec // by side
	badMetadata      prometheus.Counter
	repaired         prometheus.Counter
	learnedConflicts prometheus.Counter
	learnedRefused   prometheus.Counter
	learnedUnproved  prometheus.Counter
	tcpBaselines     prometheus.Counter
	tcpEvictions     *prometheus.CounterVec // by reason
	memoMisses       prometheus.Counter
}

// Sides of a request as the metrics name them.
const (
	sourceSide      = "source"
	destinationSide = "destination"
)

func newMetrics(reg prometheus.Registerer, s *Server) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vec := func(label, name, help string, values ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		for _, value := range values {
			v.WithLabelValues(value)
		}
		return v
	}
	m := &metrics{
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    MetricMessageLatency,
			Help:    "Time from a message's arrival to all its entries being counted.",
			Buckets: []float64{.00005, .0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .5, 1, 5},
		}),
		sessions: vec(LabelReason, MetricStreamsEnded,
			"Streams that ended, by reason: the client closed it, it was old, drained, refused or broke.",
			endClient, endAge, endDrain, endRefused, endBroken),
		mismatches: counter(MetricIdentityMismatches,
			"Streams whose node identifier contradicts their client certificate. Their claims are ignored."),
		refused: counter(MetricIdentityRefused,
			"Streams refused for such a contradiction (identity: strict)."),
		conflicts: vec(LabelSide, MetricIdentityConflicts,
			"Entries with tags or peer metadata that contradict the certificate of that side, and were ignored.",
			sourceSide, destinationSide),
		badMetadata: counter(MetricPeerMetadataMalformed,
			"Entries whose peer metadata in the filter state could not be read, and was ignored."),
		repaired: counter(MetricLabelsRepaired,
			"Entries with label values that were not valid UTF-8, held NUL or were longer than 512 bytes, and were repaired."),
		learnedConflicts: counter(MetricLearnedConflicts,
			"Workloads that claimed an address or principal that another workload claims: the fields that differ become unknown."),
		learnedRefused: counter(MetricLearnedRefused,
			"Workloads not learned because the registry is full (learned.max_entries)."),
		learnedUnproved: counter(MetricLearnedUnproved,
			"Streams from whose node identifier nothing was learned, because neither their address nor their certificate agrees."),
		tcpBaselines: counter(MetricTCPBaselines,
			"TCP connections first seen in the middle: their bytes so far are taken as counted before."),
		tcpEvictions: vec(LabelReason, MetricTCPEvictions,
			"TCP connections forgotten while open, by reason.", "idle", "full"),
		memoMisses: counter(MetricIdentityMisses,
			"Entries whose identities were worked out anew instead of remembered."),
	}
	reg.MustRegister(m.latency, m.sessions, m.mismatches, m.refused, m.conflicts, m.badMetadata, m.repaired,
		m.learnedConflicts, m.learnedRefused, m.learnedUnproved, m.tcpBaselines, m.tcpEvictions, m.memoMisses,
		&s.books,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: MetricStreams, Help: "Open streams.",
		}, func() float64 { return float64(s.openStreams()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: MetricMemoEntries, Help: "Identities that all streams remember.",
		}, func() float64 { return float64(int64(s.cfg.MaxMemoEntries) - s.memory.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: MetricLearnedEntries, Help: "Workloads known by address or principal.",
		}, func() float64 { return float64(s.registry.size()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: MetricTCPConnections, Help: "TCP connections in the table.",
		}, func() float64 { return float64(s.tcp.size()) }),
	)
	return m
}
