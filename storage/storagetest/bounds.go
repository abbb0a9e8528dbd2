package storagetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

func testDuration(t *testing.T, b *battery) {
	g := newGen()
	durations := []time.Duration{time.Microsecond, time.Millisecond, 10 * time.Millisecond, time.Second, 3 * time.Hour}
	ids := make([]pcommon.TraceID, len(durations))
	for i, d := range durations {
		ids[i] = newTraceID()
		op := "op"
		if i == 3 {
			op = "slow"
		}
		g.span(ids[i], 1, op, time.Duration(i)*time.Millisecond, d).Attributes().PutInt("n", int64(i))
	}
	b.write(g)
	f := func(low, high time.Duration, op string, want ...pcommon.TraceID) {
		t.Helper()
		b.finds(g, func(q *storage.Query) { q.MinDuration, q.MaxDuration, q.Operation = low, high, op }, want...)
	}
	f(2*time.Microsecond, 0, "", ids[4], ids[3], ids[2], ids[1])
	f(0, 20*time.Millisecond, "", ids[2], ids[1], ids[0])
	f(2*time.Millisecond, 2*time.Second, "", ids[3], ids[2])
	f(2*time.Millisecond, 2*time.Second, "op", ids[2])
	f(4*time.Hour, 0, "")
	if b.can(BoundsMatch) {
		f(time.Second, time.Second, "", ids[3])
		f(time.Second+time.Microsecond, 0, "", ids[4])
		f(0, time.Second-time.Microsecond, "", ids[2], ids[1], ids[0])
	}
	if b.can(DurationWithTags) {
		b.finds(g, func(q *storage.Query) { q.MinDuration, q.Tags = 2*time.Millisecond, map[string]string{"n": "3"} }, ids[3])
		b.finds(g, func(q *storage.Query) { q.MinDuration, q.Tags = 2*time.Millisecond, map[string]string{"n": "1"} })
	}
	if b.can(DurationInTime) {
		b.finds(g, func(q *storage.Query) { q.MinDuration, q.Start = time.Microsecond, g.base.Add(4*time.Millisecond) }, ids[4])
	}
}

func testTime(t *testing.T, b *battery) {
	g := newGen()
	ids := make([]pcommon.TraceID, 5)
	for i := range ids {
		ids[i] = newTraceID()
		g.span(ids[i], 1, "op", time.Duration(i)*time.Millisecond, 1).Attributes().PutStr("k", "v")
	}
	b.write(g)
	for _, change := range []func(*storage.Query){
		func(*storage.Query) {},
		func(q *storage.Query) { q.Operation = "op" },
		func(q *storage.Query) { q.Tags = map[string]string{"k": "v"} },
	} {
		f := func(from, to time.Duration, want ...pcommon.TraceID) {
			t.Helper()
			b.finds(g, func(q *storage.Query) { q.Start, q.End = g.base.Add(from), g.base.Add(to); change(q) }, want...)
		}
		f(-time.Microsecond, 10*time.Millisecond, ids[4], ids[3], ids[2], ids[1], ids[0])
		f(500*time.Microsecond, 2500*time.Microsecond, ids[2], ids[1])
		f(5*time.Millisecond, time.Second)
		if b.can(BoundsMatch) {
			f(time.Millisecond, 3*time.Millisecond, ids[3], ids[2], ids[1])
			f(time.Millisecond, time.Millisecond, ids[1])
		}
	}
}

func testLimit(t *testing.T, b *battery) {
	g := newGen()
	ids := make([]pcommon.TraceID, 10)
	for i := range ids {
		ids[i] = newTraceID()
		for n := range 20 { // many spans of a trace are one trace
			g.span(ids[i], uint64(n+1), "op", time.Duration(i)*time.Millisecond+time.Duration(n)*time.Microsecond, 1)
		}
	}
	b.write(g)
	f := func(limit, want int) {
		t.Helper()
		q := g.query()
		q.Limit = limit
		found, err := b.Reader.FindTraces(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > limit || b.can(ExactLimit) && len(found) != want {
			t.Errorf("limit %d: %d traces; want %d", limit, len(found), want)
		}
		for i, trace := range found {
			if len(trace.Spans) != 20 {
				t.Errorf("limit %d: a trace with %d spans; want all 20", limit, len(trace.Spans))
			}
			if b.can(NewestFirst) && trace.ID() != jaegermodel.TraceID(ids[len(ids)-1-i]) {
				t.Errorf("limit %d: trace %d is not the newest but %d", limit, i, i)
			}
		}
	}
	f(1, 1)
	f(5, 5)
	f(10, 10)
	f(1000, 10)
}

// testSameTime: spans of one service with one start and duration.
func testSameTime(t *testing.T, b *battery) {
	g := newGen()
	ids := make([]pcommon.TraceID, 30)
	for i := range ids {
		ids[i] = newTraceID()
		g.span(ids[i], uint64(i+1), "op", 0, time.Millisecond).Attributes().PutInt("n", int64(i/10))
	}
	b.write(g)
	f := func(want int, change func(*storage.Query)) {
		t.Helper()
		q := g.query()
		change(&q)
		found, err := b.Reader.FindTraces(t.Context(), q)
		if err != nil || len(found) != want {
			t.Errorf("%+v: %d traces, %v; want %d", q, len(found), err, want)
		}
	}
	f(10, func(q *storage.Query) { q.Tags = map[string]string{"n": "1"} })
	f(30, func(q *storage.Query) { q.MinDuration = time.Microsecond })
	if b.can(SameTime) {
		f(30, func(*storage.Query) {})
		f(30, func(q *storage.Query) { q.Operation = "op" })
	}
	for _, id := range ids {
		b.trace(id)
	}
}

// testAgain: a span that is delivered again is there once.
func testAgain(t *testing.T, b *battery) {
	g := newGen()
	id := newTraceID()
	full(g.span(id, 1, "op", 0, time.Millisecond))
	g.span(id, 2, "op", time.Millisecond, time.Millisecond).SetParentSpanID(asSpanID(1))
	for range 3 {
		b.write(g)
	}
	want := 2
	if n := len(b.trace(id).Spans); n != want && b.can(Rewrites) {
		t.Errorf("%d spans; want %d", n, want)
	}
	b.find(g.query(), id)
	b.finds(g, func(q *storage.Query) { q.Tags = map[string]string{"bool": "true"} }, id)
	if !b.can(OneSpanID) {
		return
	}
	// Another span with the id of one that is there does not take its place.
	g = newGen()
	id = newTraceID()
	g.span(id, 1, "client", 0, 2*time.Millisecond)
	g.span(id, 1, "server", time.Millisecond, time.Millisecond)
	b.write(g)
	if n := len(b.trace(id).Spans); n != 2 {
		t.Errorf("%d spans with one id; want 2", n)
	}
}

func testManySpans(t *testing.T, b *battery) {
	n := b.ManySpans
	if n == 0 {
		n = 20_000
	}
	g := newGen()
	var all []pcommon.TraceID
	for i := range n {
		if i%4 == 0 {
			all = append(all, newTraceID())
		}
		s := g.span(all[len(all)-1], uint64(i+1), fmt.Sprintf("op-%d", i%7), time.Duration(i)*time.Microsecond, time.Duration(i%1000)*time.Microsecond)
		s.Attributes().PutInt("n", int64(i))
		s.Attributes().PutInt("group", int64(i%100))
		if g.td.SpanCount() == 5000 {
			b.write(g)
			g.td.ResourceSpans().RemoveIf(func(ptrace.ResourceSpans) bool { return true })
		}
	}
	b.write(g)
	for i := 3; i < n; i += n / 7 {
		b.finds(g, func(q *storage.Query) { q.Tags = map[string]string{"n": fmt.Sprint(i)} }, all[i/4])
		if got := len(b.trace(all[i/4]).Spans); got != min(4, n-i/4*4) {
			t.Errorf("trace of span %d has %d spans", i, got)
		}
	}
	q := g.query()
	q.Tags, q.Limit = map[string]string{"group": "99"}, n
	found, err := b.Reader.FindTraces(t.Context(), q)
	if err != nil || len(found) != n/100 {
		t.Errorf("%d traces of group 99, %v; want %d", len(found), err, n/100)
	}
}

func testLargeTrace(t *testing.T, b *battery) {
	g := newGen()
	id := newTraceID()
	for i := range 3000 {
		g.span(id, uint64(i+1), "op", time.Duration(i)*time.Microsecond, 1)
	}
	b.write(g)
	trace := b.trace(id)
	if len(trace.Spans) != 3000 {
		t.Fatalf("%d spans; want 3000", len(trace.Spans))
	}
	for i, s := range trace.Spans {
		if s.SpanID != jaegermodel.SpanID(i+1) {
			t.Fatalf("span %d has id %s; want them by start", i, s.SpanID)
		}
	}
	b.find(g.query(), id)
}

func testDependencies(t *testing.T, b *battery) {
	if !b.can(Dependencies) {
		return
	}
	g := newGen()
	id := newTraceID()
	g.span(id, 1, "op", 0, 1)
	for i := range 3 {
		g.spanOf(g.service+"-x", id, uint64(i+2), "op", 0, 1).SetParentSpanID(asSpanID(1))
	}
	b.write(g)
	deps, err := b.Reader.Dependencies(t.Context(), time.Now().Add(-time.Hour), time.Now().Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	var got []storage.Dependency
	for _, d := range deps {
		if d.Parent == g.service || d.Child == g.service {
			got = append(got, d)
		}
	}
	if want := []storage.Dependency{{Parent: g.service, Child: g.service + "-x", Calls: 3}}; !reflect.DeepEqual(got, want) {
		t.Errorf("dependencies %v; want %v", got, want)
	}
	deps, err = b.Reader.Dependencies(t.Context(), time.Now().Add(-3*time.Hour), time.Now().Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range deps {
		if d.Parent == g.service {
			t.Errorf("%v is there two hours early", d)
		}
	}
}

func testBadQueries(t *testing.T, b *battery) {
	g := newGen()
	f := func(change func(*storage.Query)) {
		t.Helper()
		q := g.query()
		change(&q)
		if _, err := b.Reader.FindTraces(t.Context(), q); err == nil {
			t.Errorf("%+v has no error", q)
		}
	}
	f(func(q *storage.Query) { q.Service = "" })
	f(func(q *storage.Query) { q.MinDuration, q.MaxDuration = 2*time.Second, time.Second })
	f(func(q *storage.Query) { q.Limit = -1 })
	f(func(q *storage.Query) { q.End = q.Start.Add(-time.Second) })
}
