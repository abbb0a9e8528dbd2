package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/collector/host"
	"github.com/tallygate/tallygate/spans"
)

// account is the books of one exporter of spans:
// Sampled + Recovered = Exported + the four kinds of dropped + Queued.
type account struct {
	Sampled, Recovered, Exported, Queued      int64
	BufferFull, QueueFull, Failed, OnShutdown int64

	interrupted int64 // of Queued: sends that a stop ended, so that they may have failed
}

func (t *tracing) flows(e *spanExporter) spans.Flow { return t.sink.FlowTo(e.Destination) }

// live adds an exporter that runs to those of its name that are gone.
func (a account) live(f spans.Flow, b host.SpanBooks, e *spanExporter) account {
	a.Sampled += f.Sampled
	a.Recovered += e.recovered
	a.Exported += b.Sent
	a.BufferFull += f.Shed
	a.QueueFull += b.Refused
	a.Failed += b.Failed + e.lost
	a.Queued = f.Waiting + b.Queued
	if e.keeps {
		// Until it has been empty once, such a queue counts what its disk refused.
		a.Queued = min(a.Queued, a.left())
	}
	return a
}

// left are the spans that have not left.
func (a account) left() int64 {
	return a.Sampled + a.Recovered - a.Exported - a.BufferFull - a.QueueFull - a.Failed - a.OnShutdown
}

// stillFor is how long nothing must have moved before what is missing is lost.
const stillFor = time.Second

// lose takes for lost what has neither left nor waits while nothing moves: a queue
// whose disk is full loses requests without a word.
func (e *spanExporter) lose(a account, now time.Time) account {
	if a != e.seen {
		e.seen, e.since = a, now
		return a
	}
	if missing := a.left() - a.Queued; e.keeps && missing > 0 && now.Sub(e.since) >= stillFor {
		e.lost += missing
		a.Failed += missing
	}
	return a
}

// closed adds an exporter that was stopped, with its books from before and after.
// What it has not sent is on its disk or lost; what still waits for it is
// another's.
func (a account) closed(f spans.Flow, running, b host.SpanBooks, e *spanExporter) account {
	before := a
	f.Sampled -= f.Waiting
	f.Waiting = 0
	b.Queued = 0
	if e.keeps {
		// The host takes a send that the stop interrupts for a failed one, but it
		// stays on the disk.
		a.interrupted = b.Failed - running.Failed
		b.Failed = running.Failed
	}
	a = a.live(f, b, e)
	left := before.Queued + f.Sampled + e.recovered - f.Shed - b.Sent - b.Failed - b.Refused - e.lost
	if e.keeps {
		a.Queued = left
	} else {
		a.OnShutdown += left
	}
	return a
}

// reopened takes what is on the disk, now that the next exporter has it, for
// the truth: what was interrupted and is not there had failed. It returns how
// many spans there are beyond those of this process.
func (a account) reopened(onDisk int64) (account, int64) {
	if gone := min(a.interrupted, a.Queued-onDisk); gone > 0 {
		a.Failed += gone
		a.Queued -= gone
	}
	a.interrupted = 0
	return a, max(0, onDisk-a.Queued)
}

// spanBooks exports the accounts of all exporters.
type spanBooks struct{ t *tracing }

var (
	sampledDesc   = bookDesc(spans.MetricSampled, "Spans made or received for this exporter.")
	recoveredDesc = bookDesc(spans.MetricRecovered, "Spans that were in the exporter's queue on disk when the process started. What was under way then is sent a second time.")
	exportedDesc  = bookDesc(spans.MetricExported, "Spans that the exporter has sent.")
	queuedDesc    = bookDesc(spans.MetricQueued, "Spans that wait for the exporter, in its queue (of spans, with sizer: items) or under way.")
	droppedDesc   = bookDesc(spans.MetricDropped, "Spans lost, by reason: too many waited, the queue was full, sending failed for good, or the process ended first.", spans.LabelReason)
)

func bookDesc(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{spans.LabelExporter}, more...), nil)
}

// Describe implements [prometheus.Collector].
func (*spanBooks) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sampledDesc, recoveredDesc, exportedDesc, queuedDesc, droppedDesc} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (b *spanBooks) Collect(ch chan<- prometheus.Metric) {
	for id, a := range b.t.accounts() {
		count := func(d *prometheus.Desc, n int64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append([]string{id}, labels...)...)
		}
		count(sampledDesc, a.Sampled)
		count(recoveredDesc, a.Recovered)
		count(exportedDesc, a.Exported)
		count(droppedDesc, a.BufferFull, "buffer_full")
		count(droppedDesc, a.QueueFull, "queue_full")
		count(droppedDesc, a.Failed, "failed")
		count(droppedDesc, a.OnShutdown, "shutdown")
		ch <- prometheus.MustNewConstMetric(queuedDesc, prometheus.GaugeValue, float64(a.Queued), id)
	}
}

func (t *tracing) accounts() map[string]account {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[string]account{}
	for id, a := range t.past {
		all[id] = a
	}
	if t.host == nil {
		return all
	}
	books, err := t.host.SpanBooks()
	if err != nil {
		t.log.Warn("Reading the books of exporters", "err", err)
		return all
	}
	for _, e := range t.to {
		all[e.ID] = e.lose(t.past[e.ID].live(t.flows(e), books[e.ID], e), time.Now())
	}
	return all
}
