package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tallygate/tallygate/internal/envoysim"
	"github.com/tallygate/tallygate/test/testbed"
)

// spanBooks are the books of a process that sends spans to one exporter.
type spanBooks struct{ sampled, exported, dropped, queued, written float64 }

func readSpanBooks(ctx context.Context, status string) (b spanBooks, err error) {
	var errs []error
	for name, into := range map[string]*float64{
		"tallygate_spans_sampled_total": &b.sampled, "tallygate_spans_exported_total": &b.exported,
		"tallygate_spans_dropped_total": &b.dropped, "tallygate_spans_queued": &b.queued, writtenMetric: &b.written,
	} {
		v, err := envoysim.ReadCounter(ctx, status, name)
		*into, errs = v, append(errs, err)
	}
	return b, errors.Join(errs...)
}

// settledSpanBooks waits until nothing is queued and the books hold still.
func settledSpanBooks(ctx context.Context, status string) (b spanBooks, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	err = testbed.Poll(ctx, 200*time.Millisecond, func(ctx context.Context) error {
		now, err := readSpanBooks(ctx, status)
		if err != nil {
			return err
		}
		last := b
		if b = now; b.queued > 0 || b != last {
			return fmt.Errorf("the books have not settled: %+v", b)
		}
		return nil
	})
	return b, err
}

// measureOverload offers a Tallygate more spans than Cassandra takes.
func measureOverload(ctx context.Context, r *report, binary string, node *testbed.Cassandra, rate float64, d time.Duration) (err error) {
	const room = 10_000
	w := &spanWriter{name: "overload"}
	s, err := w.startTallygate(ctx, binary, node, fmt.Sprintf("spans.buffer=%d", room), fmt.Sprintf("spans.queue.size=%d", room))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(), s.stop()) }()
	sent, err := w.load.send(ctx, int(rate*d.Seconds()), rate)
	if err != nil {
		return err
	}
	_, peak, err := envoysim.RSS(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	b, err := settledSpanBooks(ctx, s.status)
	if err != nil {
		return err
	}
	offered := float64(len(sent) * batchSpans)
	progress("offered %.0f spans at %.0f/s: %+v, peak RSS %s", offered, rate, b, mebibytes(peak))
	r.section("More spans than Cassandra takes", fmt.Sprintf("Three times as many as above, for %s; `spans.buffer` and `spans.queue.size` are %s each. A span is written, or dropped and counted as such.", d, thousands(room)))
	t := r.table("offered/s", "offered", "written", "dropped, by the books", "unaccounted for", "peak RSS")
	lost := offered - b.written - b.dropped
	t.row(thousands(rate), thousands(offered), thousands(b.written), thousands(b.dropped), thousands(lost), mebibytes(peak))
	r.target("spans neither written nor counted as dropped at three times the load", math.Abs(lost), atMost, 0, "%.0f")
	r.target("spans that the books have too many or too few", math.Abs(b.sampled-b.exported-b.dropped), atMost, 0, "%.0f")
	r.target("peak RSS in MiB at three times the load of spans", float64(peak)/(1<<20), atMost, 200, "%.0f")
	return nil
}
