package als

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Names of the metrics.
const (
	MetricFrames          = "tallygate_als_frames_total"
	MetricBytes           = "tallygate_als_bytes_total"
	MetricFramesRefused   = "tallygate_als_frames_refused_total"
	MetricBytesRefused    = "tallygate_als_bytes_refused_total"
	MetricEntriesReceived = "tallygate_als_entries_received_total"
	MetricEntriesSkipped  = "tallygate_als_entries_skipped_total"
	MetricEntriesDropped  = "tallygate_als_entries_dropped_total"
)

// books are the figures that must balance: entries received = counted by the
// sink + skipped + dropped, once idle, and never less at any time. So received
// is raised before anything else is, and collected after everything else.
type books struct {
	frames, bytes               atomic.Uint64
	refusedFrames, refusedBytes [numRefusals]atomic.Uint64
	received                    atomic.Uint64
	skipped                     [numSkips]atomic.Uint64
	dropped                     [numDrops]atomic.Uint64
}

type refusal uint8

const (
	refusedMalformed  refusal = iota // lengths of the outer levels are wrong
	refusedIdentifier                // the identifier is damaged
	refusedIdentity                  // the stream lies about itself, and identity is strict
	refusedTooLarge                  // longer than max_recv_msg_size_mib; its bytes are not known

	numRefusals
)

type skipReason uint8

const (
	skipIntermediate skipReason = iota
	skipUpstream
	skipStart
	skipUDP

	numSkips
)

type drop uint8

const (
	dropMalformed drop = iota
	dropSink

	numDrops
)

var (
	refusalNames = [numRefusals]string{"malformed", "identifier", "identity", "too_large"}
	skipNames    = [numSkips]string{"intermediate", "upstream", "start", "udp"}
	dropNames    = [numDrops]string{"malformed", "sink"}

	descFrames        = desc(MetricFrames, "Messages received.")
	descBytes         = desc(MetricBytes, "Bytes of the messages received.")
	descRefusedFrames = desc(MetricFramesRefused, "Messages refused whole, by reason. Their entries are not counted as received.", LabelReason)
	descRefusedBytes  = desc(MetricBytesRefused, "Bytes of the messages refused, by reason.", LabelReason)
	descReceived      = desc(MetricEntriesReceived, "Access-log entries received in sound messages: counted + skipped + dropped.")
	descSkipped       = desc(MetricEntriesSkipped, "Entries that are not the final one of a request, by kind.", LabelReason)
	descDropped       = desc(MetricEntriesDropped, "Entries lost, by reason.", LabelReason)
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (b *books) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descFrames, descBytes, descRefusedFrames, descRefusedBytes, descReceived, descSkipped, descDropped,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (b *books) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, v *atomic.Uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v.Load()), labels...)
	}
	for i := range b.dropped {
		send(descDropped, &b.dropped[i], dropNames[i])
	}
	for i := range b.skipped {
		send(descSkipped, &b.skipped[i], skipNames[i])
	}
	send(descReceived, &b.received)
	for i := range b.refusedFrames {
		send(descRefusedFrames, &b.refusedFrames[i], refusalNames[i])
		send(descRefusedBytes, &b.refusedBytes[i], refusalNames[i])
	}
	send(descFrames, &b.frames)
	send(descBytes, &b.bytes)
}
