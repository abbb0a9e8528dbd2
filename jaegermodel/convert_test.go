package jaegermodel

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func one() (ptrace.Traces, ptrace.ResourceSpans, ptrace.Span) {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "cart")
	span := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetTraceID(pcommon.TraceID{15: 1})
	span.SetSpanID(pcommon.SpanID{7: 2})
	span.SetName("GET /cart")
	span.SetStartTimestamp(1_700_000_000_123_456_789)
	span.SetEndTimestamp(1_700_000_000_123_999_999)
	return td, rs, span
}

func TestFromTraces(t *testing.T) {
	f := func(change func(ptrace.ResourceSpans, ptrace.Span), want func(*Span)) {
		t.Helper()
		td, rs, span := one()
		change(rs, span)
		got := FromTraces(td)
		if len(got) != 1 {
			t.Fatalf("%d spans; want 1", len(got))
		}
		w := &Span{
			TraceID: TraceID{15: 1}, SpanID: 2, Operation: "GET /cart",
			Start: 1_700_000_000_123_456, Duration: 543,
			Tags: []KeyValue{}, Process: &Process{Service: "cart", Tags: []KeyValue{}},
		}
		want(w)
		if !reflect.DeepEqual(got[0], w) {
			t.Errorf("got  %+v %+v\nwant %+v %+v", got[0], got[0].Process, w, w.Process)
		}
	}
	f(func(ptrace.ResourceSpans, ptrace.Span) {}, func(*Span) {})
	f(func(rs ptrace.ResourceSpans, _ ptrace.Span) {
		rs.Resource().Attributes().PutStr("k8s.pod", "a")
		rs.ScopeSpans().At(0).Scope().SetName("lib")
		rs.ScopeSpans().At(0).Scope().SetVersion("1")
	}, func(s *Span) {
		s.Process.Tags = []KeyValue{StringTag("k8s.pod", "a")}
		s.Tags = []KeyValue{StringTag("otel.scope.name", "lib"), StringTag("otel.scope.version", "1")}
	})
	f(func(_ ptrace.ResourceSpans, span ptrace.Span) {
		span.SetKind(ptrace.SpanKindServer)
		span.Status().SetCode(ptrace.StatusCodeError)
		span.Status().SetMessage("boom")
		span.TraceState().FromRaw("a=b")
		span.Attributes().PutInt("code", 503)
		span.Attributes().PutBool("b", true)
		span.Attributes().PutDouble("d", 0.5)
		span.Attributes().PutEmptyBytes("bin").FromRaw([]byte{0, 255})
		span.Attributes().PutEmptySlice("list").AppendEmpty().SetStr("x")
		span.Attributes().PutEmptyMap("map").PutInt("y", 1)
		span.Attributes().PutEmpty("nothing")
	}, func(s *Span) {
		s.Tags = []KeyValue{
			Int64Tag("code", 503), BoolTag("b", true), Float64Tag("d", 0.5), BinaryTag("bin", []byte{0, 255}),
			StringTag("list", `["x"]`), StringTag("map", `{"y":1}`), StringTag("nothing", ""),
			StringTag("span.kind", "server"), StringTag("otel.status_code", "ERROR"), BoolTag("error", true),
			StringTag("otel.status_description", "boom"), StringTag("w3c.tracestate", "a=b"),
		}
	})
	f(func(_ ptrace.ResourceSpans, span ptrace.Span) {
		span.SetParentSpanID(pcommon.SpanID{7: 9})
		l := span.Links().AppendEmpty()
		l.SetTraceID(pcommon.TraceID{15: 1})
		l.SetSpanID(pcommon.SpanID{7: 9})
		l = span.Links().AppendEmpty()
		l.SetTraceID(pcommon.TraceID{0: 7})
		l.SetSpanID(pcommon.SpanID{7: 4})
		l.Attributes().PutStr("opentracing.ref_type", "child_of")
	}, func(s *Span) {
		s.Refs = []Ref{{FollowsFrom, TraceID{15: 1}, 9}, {ChildOf, TraceID{0: 7}, 4}}
	})
	f(func(_ ptrace.ResourceSpans, span ptrace.Span) {
		e := span.Events().AppendEmpty()
		e.SetName("retry")
		e.SetTimestamp(5000)
		e.Attributes().PutInt("n", 2)
		span.Events().AppendEmpty().Attributes().PutStr("event", "own")
	}, func(s *Span) {
		s.Logs = []Log{
			{Time: 5, Fields: []KeyValue{StringTag("event", "retry"), Int64Tag("n", 2)}},
			{Fields: []KeyValue{StringTag("event", "own")}},
		}
	})
	// What Jaeger replaces.
	f(func(rs ptrace.ResourceSpans, _ ptrace.Span) { rs.Resource().Attributes().Clear() },
		func(s *Span) { s.Process.Service = "missing-service-name" })
	f(func(rs ptrace.ResourceSpans, _ ptrace.Span) { rs.Resource().Attributes().PutStr("service.name", "") },
		func(s *Span) { s.Process.Service = "empty-service-name" })
	f(func(rs ptrace.ResourceSpans, _ ptrace.Span) { rs.Resource().Attributes().PutInt("service.name", 1) },
		func(s *Span) { s.Process.Service = "service-name-wrong-type" })
	f(func(_ ptrace.ResourceSpans, span ptrace.Span) {
		span.SetName("a\xff")
		span.Attributes().PutStr("v", "\xfe")
		span.Attributes().PutStr("k\xff", "x")
	}, func(s *Span) {
		s.Operation = "invalid-span-name"
		s.Tags = []KeyValue{
			BinaryTag("v", []byte("\xfe")), BinaryTag("invalid-tag-key-1", []byte("k\xff:x")), BinaryTag("invalid-span-name", []byte("a\xff")),
		}
	})
	f(func(_ ptrace.ResourceSpans, span ptrace.Span) { span.SetEndTimestamp(1_600_000_000_000_000_000) }, func(s *Span) {
		s.Duration = 0
		s.Warnings = []string{"Negative duration detected, sanitizing end timestamp. Original end timestamp: 2020-09-13 12:26:40 +0000 UTC, adjusted to: 2023-11-14 22:13:20.12345679 +0000 UTC"}
	})
	f(func(_ ptrace.ResourceSpans, span ptrace.Span) {
		span.Attributes().PutEmptySlice("@jaeger@warnings").AppendEmpty().SetStr("seen")
	}, func(s *Span) { s.Warnings = []string{"seen"} })
}

func TestTraceID(t *testing.T) {
	f := func(in, want, problem string) {
		t.Helper()
		id, err := ParseTraceID(in)
		if problem != "" {
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%q: error %v; want %q", in, err, problem)
			}
			return
		}
		if err != nil || id.String() != want {
			t.Errorf("%q: %v, %v; want %s", in, id, err, want)
		}
	}
	f("1", "0000000000000001", "")
	f("00000000000000000000000000000001", "0000000000000001", "")
	f("4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736", "")
	f("bf92f3577b34da6a3ce929d0e0e4736", "0bf92f3577b34da6a3ce929d0e0e4736", "")
	f("", "", "invalid syntax")
	f("xyz", "", `parsing "xyz": invalid syntax`)
	f(strings.Repeat("0", 33), "", "cannot be longer than 32 hex characters")
}

func TestEncode(t *testing.T) {
	td, _, span := one()
	span.SetParentSpanID(pcommon.SpanID{1: 3})
	span.Attributes().PutStr("s", "x")
	span.Attributes().PutInt("i", -1)
	span.Attributes().PutEmptyBytes("b").FromRaw([]byte("y"))
	span.Attributes().PutEmptySlice("@jaeger@warnings").AppendEmpty().SetStr("seen")
	span.Events().AppendEmpty().SetName("e")
	s := FromTraces(td)[0]
	b := s.Append(nil)
	got, rest, err := DecodeSpan(append(bytes.Clone(b), 7))
	if err != nil || len(rest) != 1 {
		t.Fatalf("rest %v, %v", rest, err)
	}
	s.Process.Tags = nil
	p, _, err := DecodeProcess(s.Process.Append(nil))
	if got.Process = p; err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("got  %+v\nwant %+v", got, s)
	}
	h1, _ := s.Hash(nil)
	s.Tags[0].Str = "z"
	if h2, _ := s.Hash(nil); h1 == h2 {
		t.Error("another tag has the same hash")
	}
	for i := range b {
		if _, _, err := DecodeSpan(b[:i]); err == nil {
			t.Errorf("cut at %d: no error", i)
		}
	}
}

func FuzzDecode(f *testing.F) {
	td, _, span := one()
	span.Attributes().PutStr("s", "x")
	f.Add(FromTraces(td)[0].Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _, err := DecodeSpan(b)
		if err != nil {
			return
		}
		again, _, err := DecodeSpan(s.Append(nil))
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Errorf("%+v reads as %+v, %v", s, again, err)
		}
	})
}
