package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tallygate/tallygate/internal/envoysim"
)

// withoutSpans is how the other parts run Tallygate.
var withoutSpans = []string{"spans.exporters=[]", "receivers={}", "exporters={}"}

// toNobody are settings that send the spans of a ratio of all traces to an exporter
// that throws them away.
func toNobody(ratio float64) []string {
	return append(sampling(ratio),
		"exporters={debug: {verbosity: basic, use_internal_logger: false, output_paths: [/dev/null]}}", "receivers={}",
		"spans.exporters=[debug]", "spans.buffer=1000000", "spans.queue.size=1000000")
}

// sampling are settings that make spans of a ratio of all traces.
func sampling(ratio float64) []string {
	return []string{"spans.mode=always", "spans.sampling.proxy.enabled=false", fmt.Sprintf("spans.sampling.head={ratio: %v, per_second: 1e9}", ratio)}
}

// measureSpans compares ingest with and without spans.
func measureSpans(ctx context.Context, o options, r *report) error {
	rounds, share := 5, int64(1)
	if o.quick {
		rounds, share = 3, 4
	}
	serve := func(sets []string) func(context.Context) (*server, error) {
		return func(ctx context.Context) (*server, error) { return startTallygate(ctx, o.binary, sets...) }
	}
	cs := []*contestant{
		{name: "no spans", entries: 5_000_000 / share, start: serve(withoutSpans), tuples: 100},
		{name: "1 % of traces", entries: 5_000_000 / share, start: serve(toNobody(0.01)), tuples: 100, check: sampled(0.009, 0.013)},
		{name: "every trace", entries: 200_000 / share, start: serve(toNobody(1)), tuples: 100, check: sampled(1, 1)},
	}
	if err := throughput(ctx, cs, rounds); err != nil {
		return err
	}
	base := cs[0].median()
	r.section("Spans",
		"The same, with spans of sampled requests to an exporter that throws them away: ids, some 30 attributes and 7 events each. Errors, denials and requests above the p99 of their edge are looked for in all but the first.")
	t := r.table("sampled", "entries per core-second", "cost to no spans", "spans per core-second")
	for i, c := range cs {
		spans := ""
		if i == 2 {
			spans = thousands(c.median())
		}
		t.row(c.name, thousands(c.median()), fmt.Sprintf("%.3f", base/c.median()), spans)
	}
	r.target("cost of ingest with 1 % of traces to without spans", base/cs[1].median(), atMost, 1.08, "%.3f")
	r.target("spans per core-second with every trace, ingest included", cs[2].median(), atLeast, 60_000, "%.0f")
	return nil
}

// sampled checks that the share of entries that became spans is within bounds, and
// that none was lost.
func sampled(least, most float64) func(context.Context, *driven) error {
	return func(ctx context.Context, d *driven) error {
		var spans, dropped float64
		var errs []error
		read := func(metric string, into *float64) {
			v, err := envoysim.ReadCounter(ctx, d.metrics, metric)
			*into, errs = v, append(errs, err)
		}
		read("tallygate_spans_sampled_total", &spans)
		read("tallygate_spans_dropped_total", &dropped)
		if err := errors.Join(errs...); err != nil {
			return err
		}
		if got := spans / float64(d.sent.Entries); got < least || got > most || dropped > 0 {
			return fmt.Errorf("%.0f spans of %d entries, %.0f dropped; want a share between %v and %v", spans, d.sent.Entries, dropped, least, most)
		}
		return nil
	}
}
