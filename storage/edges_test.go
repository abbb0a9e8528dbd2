package storage

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/tallygate/tallygate/jaegermodel"
)

func span(trace byte, id, parent jaegermodel.SpanID, service string) *jaegermodel.Span {
	s := &jaegermodel.Span{TraceID: jaegermodel.TraceID{15: trace}, SpanID: id, Process: &jaegermodel.Process{Service: service}}
	if parent != 0 {
		s.Refs = []jaegermodel.Ref{{TraceID: s.TraceID, SpanID: parent}}
	}
	return s
}

func TestEdges(t *testing.T) {
	spans := []*jaegermodel.Span{
		span(1, 1, 0, "web"), span(1, 2, 1, "cart"), span(1, 3, 2, "cart"), span(1, 4, 3, "db"), span(1, 5, 9, "lost"),
		span(2, 1, 0, "web"), span(2, 2, 1, "cart"),
	}
	want := []Dependency{{"cart", "cart", 1}, {"cart", "db", 1}, {"web", "cart", 2}}
	for range 20 { // in any order, each span twice
		e := NewEdges(100)
		for range 2 {
			rand.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
			e.Observe(spans)
		}
		if got := e.Take(); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v; want %v", got, want)
		}
		if got := e.Counted(); len(got) != 0 {
			t.Fatalf("%v is left after Take", got)
		}
		e.Restore(want)
		if got := e.Counted(); !reflect.DeepEqual(got, want) {
			t.Fatalf("restored %v", got)
		}
	}
}

func TestEdgesAreBounded(t *testing.T) {
	e := NewEdges(10)
	for i := range 10_000 {
		e.Observe([]*jaegermodel.Span{span(3, jaegermodel.SpanID(i+1), jaegermodel.SpanID(i+100_000), "a")})
	}
	if n := len(e.now.services) + len(e.old.services) + len(e.now.waiting) + len(e.old.waiting); n > 40 {
		t.Errorf("%d spans are remembered; want at most 4 times the limit of 10", n)
	}
}

func TestQuery(t *testing.T) {
	at := time.UnixMicro(1_000_000)
	s := span(1, 1, 0, "web")
	s.Operation, s.Start, s.Duration = "GET", at.UnixMicro(), 500
	s.Process.Tags = []jaegermodel.KeyValue{jaegermodel.StringTag("pod", "a")}
	s.Tags = []jaegermodel.KeyValue{jaegermodel.Int64Tag("code", 503), jaegermodel.BinaryTag("bin", []byte("x")), jaegermodel.StringTag("two", "1"), jaegermodel.StringTag("two", "2")}
	s.Logs = []jaegermodel.Log{{Fields: []jaegermodel.KeyValue{jaegermodel.StringTag("event", "retry")}}}
	f := func(want bool, change func(*Query)) {
		t.Helper()
		q := Query{Service: "web", Start: at, End: at, Limit: 1}
		change(&q)
		if got := q.Matches(s); got != want {
			t.Errorf("%+v matches: %v; want %v", q, got, want)
		}
	}
	f(true, func(*Query) {})
	f(false, func(q *Query) { q.Service = "other" })
	f(true, func(q *Query) { q.Operation = "GET" })
	f(false, func(q *Query) { q.Operation = "PUT" })
	f(false, func(q *Query) { q.Start = at.Add(time.Microsecond) })
	f(false, func(q *Query) { q.End = at.Add(-time.Microsecond) })
	f(true, func(q *Query) { q.MinDuration, q.MaxDuration = 500*time.Microsecond, 500*time.Microsecond })
	f(false, func(q *Query) { q.MinDuration = 501 * time.Microsecond })
	f(false, func(q *Query) { q.MaxDuration = 499 * time.Microsecond })
	f(true, func(q *Query) { q.Tags = map[string]string{"pod": "a", "code": "503", "event": "retry", "two": "2"} })
	f(false, func(q *Query) { q.Tags = map[string]string{"pod": "a", "code": "500"} })
	f(false, func(q *Query) { q.Tags = map[string]string{"bin": "78"} })

	g := func(want string, change func(*Query)) {
		t.Helper()
		q := Query{Service: "web", Start: at, End: at, Limit: 1}
		change(&q)
		if err := q.Validate(); err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%+v: %v; want %q", q, err, want)
		}
	}
	g("", func(*Query) {})
	g("service Name must be set", func(q *Query) { q.Service = "" })
	g("start and End Time must be set", func(q *Query) { q.End = time.Time{} })
	g("start Time Minimum is above Maximum", func(q *Query) { q.Start = at.Add(1) })
	g("duration Minimum is above Maximum", func(q *Query) { q.MinDuration, q.MaxDuration = 2, 1 })
	g("search depth must be greater than 0", func(q *Query) { q.Limit = 0 })
}
