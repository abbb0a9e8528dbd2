package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// measureStorage writes spans to stores.
func measureStorage(ctx context.Context, o options, r *report) error {
	if err := measureCassandra(ctx, o, r); err != nil {
		return err
	}
	return measureLocal(ctx, o, r)
}

// measureCassandra compares Tallygate with Jaeger on one node of Cassandra, with
// the same schema and all indexes.
func measureCassandra(ctx context.Context, o options, r *report) (err error) {
	rounds, paced, overload, share := 3, 10*time.Second, 15*time.Second, 1
	if o.quick {
		rounds, paced, overload, share = 1, 3*time.Second, 5*time.Second, 4
	}
	bed, err := testbed.New(o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bed.Close()) }()
	node, err := bed.StartCassandra(ctx, testbed.CassandraConfig{Periodic: true, HeapMB: 1024})
	if err != nil {
		return err
	}
	ours := &spanWriter{name: "Tallygate", spans: 14_400 / share, paced: true}
	tuned := &spanWriter{name: "Jaeger, 64 writers", spans: 9600 / share, paced: true}
	asItComes := &spanWriter{name: "Jaeger, as it comes", spans: 480 / share}
	s, err := ours.startTallygate(ctx, o.binary, node)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.close(), tuned.close(), asItComes.close(), s.stop()) }()
	if err := errors.Join(tuned.startJaeger(ctx, bed, node, 64), asItComes.startJaeger(ctx, bed, node, 0)); err != nil {
		return err
	}
	writers := []*spanWriter{ours, tuned, asItComes}
	for _, w := range writers { // names are written, statements prepared, the JVM is warm
		if _, err := w.write(ctx, w.spans); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	for round := range rounds {
		for _, w := range writers {
			n, err := w.write(ctx, w.spans)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			w.perSecond = append(w.perSecond, n)
			progress("round %d  %-20s %6.0f spans/s", round+1, w.name, n)
		}
	}
	for _, w := range writers {
		if !w.paced {
			continue
		}
		if err := w.pace(ctx, paced); err != nil {
			return fmt.Errorf("%s, at %d spans/s: %w", w.name, pacedRate, err)
		}
	}
	r.section("Spans to Cassandra", fmt.Sprintf("One node of Cassandra 5.0 with 1 GB of heap and its default commit log, on the same two cores as whoever writes to it and whoever sends; Jaeger's schema v004 with all index tables, spans of 11 tags and a kind, two tags unique to each (some 17 rows a span). `index::batch_partitions` is 10, as one node allows. Spans come over OTLP; medians of %d rounds in turns. Readable: from sending a request of %d spans, at %d/s, to the last of them being read back.", rounds, batchSpans, pacedRate))
	t := r.table("writer", "spans/s", "to Tallygate", "readable, p50", "readable, p99")
	base := medianOf(ours.perSecond)
	for _, w := range writers {
		p50, p99 := "", ""
		if w.paced {
			p50, p99 = seconds(median(w.visible).Seconds()), seconds(p99Of(w.visible).Seconds())
		}
		t.row(w.name, thousands(medianOf(w.perSecond)), fmt.Sprintf("%.3f", medianOf(w.perSecond)/base), p50, p99)
	}
	r.target("spans/s to one node of Cassandra, all indexes", base, atLeast, 2000, "%.0f")
	r.target("spans/s to Cassandra to Jaeger's as it comes", base/medianOf(asItComes.perSecond), atLeast, 25, "%.1f")
	r.target("spans/s to Cassandra to Jaeger's with 64 writers", base/medianOf(tuned.perSecond), atLeast, 1, "%.2f")
	return measureOverload(ctx, r, o.binary, node, 3*base, overload)
}
