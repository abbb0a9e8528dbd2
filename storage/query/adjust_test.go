package query

import (
	"reflect"
	"testing"
	"time"

	"github.com/tallygate/tallygate/jaegermodel"
)

func TestAdjust(t *testing.T) {
	id := jaegermodel.TraceID{15: 1}
	kind := func(k string) []jaegermodel.KeyValue {
		return []jaegermodel.KeyValue{jaegermodel.StringTag("span.kind", k)}
	}
	proc := func(tags ...jaegermodel.KeyValue) *jaegermodel.Process {
		return &jaegermodel.Process{Service: "s", Tags: tags}
	}
	child := func(of jaegermodel.SpanID) []jaegermodel.Ref { return []jaegermodel.Ref{{TraceID: id, SpanID: of}} }
	f := func(most time.Duration, in, want []*jaegermodel.Span) {
		t.Helper()
		before := traceOf(&jaegermodel.Trace{Spans: in})
		got := traceOf(adjust(&jaegermodel.Trace{Spans: in}, most))
		if !reflect.DeepEqual(traceOf(&jaegermodel.Trace{Spans: in}), before) {
			t.Error("the spans of the store were changed")
		}
		if w := traceOf(&jaegermodel.Trace{Spans: want}); !reflect.DeepEqual(got, w) {
			t.Errorf("got  %+v\nwant %+v", got, w)
		}
	}
	// A client and a server that share an id, and the server's child.
	f(0, []*jaegermodel.Span{
		{TraceID: id, SpanID: 5, Duration: 100, Process: proc(), Tags: kind("client")},
		{TraceID: id, SpanID: 5, Duration: 100, Process: proc(), Tags: kind("server")},
		{TraceID: id, SpanID: 6, Duration: 100, Process: proc(), Refs: child(5)},
		{TraceID: id, SpanID: 6, Duration: 100, Process: proc(), Refs: child(5)},
	}, []*jaegermodel.Span{
		{TraceID: id, SpanID: 5, Duration: 100, Process: proc(), Tags: kind("client")},
		{TraceID: id, SpanID: 1, Duration: 100, Process: proc(), Tags: kind("server"), Refs: child(5)},
		{TraceID: id, SpanID: 6, Duration: 100, Process: proc(), Refs: child(1)},
	})
	skewed := func(most ...string) []*jaegermodel.Span {
		return []*jaegermodel.Span{
			{TraceID: id, SpanID: 1, Start: 1000, Duration: 100, Process: proc()},
			{TraceID: id, SpanID: 2, Start: 5000, Duration: 49, Process: proc(), Refs: child(1), Warnings: most},
			{TraceID: id, SpanID: 3, Start: 0, Duration: 1, Process: proc(), Refs: child(9)},
		}
	}
	invalid := "invalid parent span IDs=0000000000000009; skipping clock skew adjustment"
	want := skewed("clock skew adjustment disabled; not applying calculated delta of -3.9745ms")
	want[2].Warnings = []string{invalid}
	f(0, skewed(), want)
	want = skewed("max clock skew adjustment delta of 1ms exceeded; not applying calculated delta of -3.9745ms")
	want[2].Warnings = []string{invalid}
	f(time.Millisecond, skewed(), want)
	want = skewed("This span's timestamps were adjusted by -3.9745ms")
	want[1].Start, want[2].Warnings = 1025, []string{invalid}
	f(time.Second, skewed(), want)
	// Tags and references.
	f(0, []*jaegermodel.Span{{
		TraceID: id, SpanID: 1, Process: proc(jaegermodel.Int64Tag("ip", 0x7f000001)),
		Tags: []jaegermodel.KeyValue{jaegermodel.StringTag("telemetry.sdk.name", "go"), jaegermodel.Float64Tag("peer.ipv4", 1)},
		Refs: []jaegermodel.Ref{{TraceID: jaegermodel.TraceID{1: 1}, SpanID: 7}, {}, {Type: jaegermodel.FollowsFrom, TraceID: id, SpanID: 8}},
	}, {TraceID: id, SpanID: 8, Process: proc()}}, []*jaegermodel.Span{{
		TraceID: id, SpanID: 1, Process: proc(jaegermodel.StringTag("ip", "127.0.0.1"), jaegermodel.StringTag("telemetry.sdk.name", "go")),
		Tags:     []jaegermodel.KeyValue{jaegermodel.StringTag("peer.ipv4", "0.0.0.1")},
		Refs:     []jaegermodel.Ref{{Type: jaegermodel.FollowsFrom, TraceID: id, SpanID: 8}, {TraceID: jaegermodel.TraceID{1: 1}, SpanID: 7}},
		Warnings: []string{"Invalid span reference removed {TraceID:0000000000000000 SpanID:0000000000000000 RefType:CHILD_OF}"},
	}, {TraceID: id, SpanID: 8, Process: proc()}})
}
