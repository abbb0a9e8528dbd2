package storagetest

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

// Run runs the battery on a store. It may hold other spans, and tests may share
// it.
func Run(t *testing.T, b Backend) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *battery)
	}{
		{"NotFound", testNotFound},
		{"RoundTrip", testRoundTrip},
		{"IDs", testIDs},
		{"ServicesAndOperations", testServicesAndOperations},
		{"Operation", testOperation},
		{"Tags", testTags},
		{"TagsOfOneSpan", testTagsOfOneSpan},
		{"OddTags", testOddTags},
		{"Duration", testDuration},
		{"Time", testTime},
		{"Limit", testLimit},
		{"SameTime", testSameTime},
		{"Again", testAgain},
		{"ManySpans", testManySpans},
		{"LargeTrace", testLargeTrace},
		{"Dependencies", testDependencies},
		{"BadQueries", testBadQueries},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, &battery{b, t}) })
	}
}

type battery struct {
	Backend
	t *testing.T
}

func (b *battery) can(c Cannot) bool { return !slices.Contains(b.Cannot, c) }

// write stores what g holds.
func (b *battery) write(g *gen) {
	b.t.Helper()
	if err := b.Write(b.t.Context(), g.td); err != nil {
		b.t.Fatalf("writing: %v", err)
	}
}

func (b *battery) trace(id pcommon.TraceID) *jaegermodel.Trace {
	b.t.Helper()
	trace, err := b.Reader.Trace(b.t.Context(), jaegermodel.TraceID(id))
	if err != nil {
		b.t.Fatalf("trace %s: %v", jaegermodel.TraceID(id), err)
	}
	return trace
}

// find expects the traces, in this order if the backend can order.
func (b *battery) find(q storage.Query, want ...pcommon.TraceID) {
	b.t.Helper()
	found, err := b.Reader.FindTraces(b.t.Context(), q)
	if err != nil {
		b.t.Fatalf("%+v: %v", q, err)
	}
	var got, ids []string
	for _, trace := range found {
		got = append(got, trace.ID().String())
	}
	for _, id := range want {
		ids = append(ids, jaegermodel.TraceID(id).String())
	}
	if !b.can(NewestFirst) {
		slices.Sort(got)
		slices.Sort(ids)
	}
	if !slices.Equal(got, ids) {
		b.t.Errorf("%+v\nfinds %v\nwant  %v", q, got, ids)
	}
}

// finds is a find with a change to the query of g.
func (b *battery) finds(g *gen, change func(*storage.Query), want ...pcommon.TraceID) {
	b.t.Helper()
	q := g.query()
	change(&q)
	b.find(q, want...)
}

func testNotFound(t *testing.T, b *battery) {
	g := newGen()
	if _, err := b.Reader.Trace(t.Context(), jaegermodel.TraceID(newTraceID())); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a trace that is not there: %v; want ErrNotFound", err)
	}
	b.find(g.query())
	if ops, err := b.Reader.Operations(t.Context(), g.service, ""); err != nil || len(ops) != 0 {
		t.Errorf("operations of a service that is not there: %v, %v", ops, err)
	}
}

// testRoundTrip: what is read is what the mapping makes of what was written.
func testRoundTrip(t *testing.T, b *battery) {
	g := newGen()
	id := newTraceID()
	full(g.span(id, 1, "root", 0, time.Second))
	child := g.span(id, 2, "child", 100*time.Millisecond, 123456*time.Microsecond)
	child.SetParentSpanID(asSpanID(1))
	want := jaegermodel.FromTraces(g.td)
	b.write(g)
	got := b.trace(id)
	if len(got.Spans) != len(want) {
		t.Fatalf("%d spans; want %d", len(got.Spans), len(want))
	}
	for i, s := range got.Spans {
		if g, w := b.plain(s), b.plain(want[i]); !reflect.DeepEqual(g, w) {
			t.Errorf("span %d:\ngot  %+v\n     %+v\nwant %+v\n     %+v", i, g, g.Process, w, w.Process)
		}
	}
}

// plain is the span without what stores may differ in: empty and nil, and the
// order of tags if the backend sorts them.
func (b *battery) plain(s *jaegermodel.Span) *jaegermodel.Span {
	c := *s
	p := *s.Process
	c.Process = &p
	tags := func(kvs []jaegermodel.KeyValue) []jaegermodel.KeyValue {
		kvs = append([]jaegermodel.KeyValue{}, kvs...)
		for i := range kvs {
			kvs[i].Bin = append([]byte{}, kvs[i].Bin...)
		}
		if !b.can(RawSpans) {
			jaegermodel.SortTags(kvs)
		}
		return kvs
	}
	c.Tags, p.Tags = tags(c.Tags), tags(p.Tags)
	c.Refs = append([]jaegermodel.Ref{}, c.Refs...)
	c.Logs = append([]jaegermodel.Log{}, c.Logs...)
	for i := range c.Logs {
		c.Logs[i].Fields = tags(c.Logs[i].Fields)
	}
	if c.Warnings = append([]string{}, c.Warnings...); !b.can(RawSpans) {
		c.Warnings = nil
	}
	return &c
}
