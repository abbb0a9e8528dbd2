package storagetest

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
)

// full gives a span one of everything.
func full(s ptrace.Span) {
	s.SetKind(ptrace.SpanKindServer)
	s.Status().SetCode(ptrace.StatusCodeError)
	s.Status().SetMessage("boom")
	s.TraceState().FromRaw("a=b")
	s.Attributes().PutStr("text", "snow ☃ and \x00 and \n")
	s.Attributes().PutStr("json", `{"a": [1, "b"]}`)
	s.Attributes().PutStr("long", strings.Repeat("x", 64<<10))
	s.Attributes().PutStr("empty", "")
	s.Attributes().PutStr("not utf-8", "\xff\xfe")
	s.Attributes().PutInt("int", -1<<63)
	s.Attributes().PutDouble("double", 1.5e300)
	s.Attributes().PutBool("bool", true)
	s.Attributes().PutEmptyBytes("bytes").FromRaw([]byte{0, 1, 255})
	e := s.Events().AppendEmpty()
	e.SetName("retry")
	e.SetTimestamp(s.StartTimestamp() + 1_000_000)
	e.Attributes().PutInt("attempt", 2)
	l := s.Links().AppendEmpty()
	l.SetTraceID(pcommon.TraceID{0: 1, 15: 2})
	l.SetSpanID(pcommon.SpanID{7: 3})
}

// testIDs: whatever bytes ids have, the trace is found by them.
func testIDs(t *testing.T, b *battery) {
	ids := []pcommon.TraceID{
		newTraceID(),
		{8: 1, 9: 2, 10: byte(time.Now().UnixNano()), 11: byte(time.Now().UnixNano() >> 8)}, // of 8 bytes
		{0: 0xff, 1: 0xff, 2: 0xff, 3: 0xff, 4: 0xff, 5: 0xff, 6: 0xff, 7: 0xff, 8: 0xff, 9: 0xff, 10: 0xff, 11: 0xff, 12: 0xff, 13: 0xff, 14: byte(time.Now().UnixNano()), 15: 0xff},
		{0: 1, 15: byte(time.Now().UnixNano()), 14: byte(time.Now().UnixNano() >> 8), 13: byte(time.Now().UnixNano() >> 16)},
	}
	spanIDs := []uint64{1, 1 << 63, 1<<64 - 1, 0xff}
	g := newGen()
	for i, id := range ids {
		g.span(id, spanIDs[i], "op", time.Duration(i)*time.Millisecond, time.Millisecond)
	}
	b.write(g)
	for i, id := range ids {
		trace := b.trace(id)
		if len(trace.Spans) != 1 || trace.ID() != jaegermodel.TraceID(id) || trace.Spans[0].SpanID != jaegermodel.SpanID(spanIDs[i]) {
			t.Errorf("trace %s: %d spans, ids %s and %s", jaegermodel.TraceID(id), len(trace.Spans), trace.ID(), trace.Spans[0].SpanID)
		}
	}
	b.find(g.query(), ids[3], ids[2], ids[1], ids[0])
}

func testServicesAndOperations(t *testing.T, b *battery) {
	g := newGen()
	id := newTraceID()
	g.span(id, 1, "GET /", 0, 1)
	g.span(id, 2, "GET /", 1, 1).SetKind(ptrace.SpanKindServer)
	g.span(id, 3, "GET /", 2, 1).SetKind(ptrace.SpanKindServer)
	g.span(id, 4, "PUT ☃", 3, 1).SetKind(ptrace.SpanKindClient)
	g.span(id, 5, "PUT ☃", 4, 1).SetKind(ptrace.SpanKindProducer)
	g.spanOf(g.service+"-x", id, 6, "other", 5, 1)
	b.write(g)
	names, err := b.Reader.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{g.service, g.service + "-x"} {
		n := 0
		for _, name := range names {
			if name == want {
				n++
			}
		}
		if n != 1 {
			t.Errorf("service %s is there %d times", want, n)
		}
	}
	f := func(kind string, want ...storage.Operation) {
		t.Helper()
		got, err := b.Reader.Operations(t.Context(), g.service, kind)
		if err != nil {
			t.Fatal(err)
		}
		storage.SortOperations(got)
		if len(got) != len(want) {
			t.Errorf("kind %q: %v; want %v", kind, got, want)
			return
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("kind %q: %v; want %v", kind, got, want)
			}
		}
	}
	f("", storage.Operation{Name: "GET /"}, storage.Operation{Name: "GET /", Kind: "server"},
		storage.Operation{Name: "PUT ☃", Kind: "client"}, storage.Operation{Name: "PUT ☃", Kind: "producer"})
	f("server", storage.Operation{Name: "GET /", Kind: "server"})
	f("consumer")
}

func testOperation(t *testing.T, b *battery) {
	g := newGen()
	one, two := newTraceID(), newTraceID()
	g.span(one, 1, "a", 0, 1)
	g.span(two, 1, "b", time.Millisecond, 1)
	g.spanOf(g.service+"-x", one, 2, "b", 2*time.Millisecond, 1)
	b.write(g)
	b.finds(g, func(*storage.Query) {}, two, one)
	b.finds(g, func(q *storage.Query) { q.Operation = "a" }, one)
	b.finds(g, func(q *storage.Query) { q.Operation = "b" }, two)
	b.finds(g, func(q *storage.Query) { q.Operation = "ab" })
}

func testTags(t *testing.T, b *battery) {
	g := newGen()
	ids := []pcommon.TraceID{newTraceID(), newTraceID(), newTraceID()}
	for i, id := range ids {
		s := g.span(id, 1, "op", time.Duration(i)*time.Millisecond, 1)
		s.Attributes().PutInt("n", int64(i))
		s.Attributes().PutBool("even", i%2 == 0)
		s.Attributes().PutDouble("half", float64(i)/2)
		s.Events().AppendEmpty().SetName("event-" + string(rune('a'+i)))
	}
	g.td.ResourceSpans().At(1).Resource().Attributes().PutStr("pod", "p")
	g.spanOf(g.service+"-x", newTraceID(), 1, "op", 0, 1).Attributes().PutInt("n", 0)
	g.td.ResourceSpans().At(2).ScopeSpans().At(0).Spans().At(0).Status().SetCode(ptrace.StatusCodeError)
	b.write(g)
	f := func(tags map[string]string, want ...pcommon.TraceID) {
		t.Helper()
		b.finds(g, func(q *storage.Query) { q.Tags = tags }, want...)
	}
	f(map[string]string{"n": "0"}, ids[0])
	f(map[string]string{"n": "3"})
	f(map[string]string{"m": "0"})
	f(map[string]string{"even": "true"}, ids[2], ids[0])
	f(map[string]string{"half": "0.5"}, ids[1])
	f(map[string]string{"event": "event-c"}, ids[2])
	f(map[string]string{"pod": "p"}, ids[1])
	f(map[string]string{"error": "true"}, ids[2])
	f(map[string]string{"even": "true", "n": "2"}, ids[2])
	f(map[string]string{"even": "true", "n": "1"})
	b.finds(g, func(q *storage.Query) { q.Operation, q.Tags = "op", map[string]string{"n": "1"} }, ids[1])
	b.finds(g, func(q *storage.Query) { q.Operation, q.Tags = "po", map[string]string{"n": "1"} })
}

// testTagsOfOneSpan: two tags on two spans of a trace are no match.
func testTagsOfOneSpan(t *testing.T, b *battery) {
	g := newGen()
	id := newTraceID()
	g.span(id, 1, "a", 0, 1).Attributes().PutStr("x", "1")
	g.span(id, 2, "b", 1000, 1).Attributes().PutStr("y", "1")
	b.write(g)
	var want []pcommon.TraceID
	if !b.can(SameSpan) {
		want = append(want, id)
	}
	b.finds(g, func(q *storage.Query) { q.Tags = map[string]string{"x": "1", "y": "1"} }, want...)
	b.finds(g, func(q *storage.Query) { q.Operation, q.Tags = "b", map[string]string{"x": "1"} }, want...)
}

func testOddTags(t *testing.T, b *battery) {
	g := newGen()
	id := newTraceID()
	s := g.span(id, 1, "op", 0, 1)
	full(s)
	s.Attributes().PutStr("255", strings.Repeat("y", 255))
	s.Attributes().PutStr("256", strings.Repeat("y", 256))
	s.Attributes().PutStr("broken json", `{"a": `)
	s.Attributes().PutStr("a:b=c d&e", "%20;'\"--")
	b.write(g)
	f := func(key, value string, found bool) {
		t.Helper()
		var want []pcommon.TraceID
		if found {
			want = append(want, id)
		}
		b.finds(g, func(q *storage.Query) { q.Tags = map[string]string{key: value} }, want...)
	}
	f("text", "snow ☃ and \x00 and \n", true)
	f("empty", "", true)
	f("int", "-9223372036854775808", true)
	f("double", "1.5e+300", true)
	f("255", strings.Repeat("y", 255), true)
	f("broken json", `{"a": `, true)
	f("a:b=c d&e", "%20;'\"--", true)
	f("256", strings.Repeat("y", 256), b.can(LongTags))
	if b.can(LongTags) { // elsewhere it is no key that one could ask for
		f("long", strings.Repeat("x", 64<<10), true)
	}
	f("json", `{"a": [1, "b"]}`, b.can(LongTags))
	f("bytes", "0001ff", false)
}
