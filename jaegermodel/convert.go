package jaegermodel

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// FromTraces returns the spans of td in their order. Text aliases td's; spans
// of one resource share their Process.
func FromTraces(td ptrace.Traces) []*Span {
	out := make([]*Span, 0, td.SpanCount())
	for _, rs := range td.ResourceSpans().All() {
		process := processOf(rs.Resource())
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				out = append(out, convert(span, ss.Scope(), process))
			}
		}
	}
	return out
}

// Service names that Jaeger gives to resources without one.
const (
	missingService   = "missing-service-name"
	emptyService     = "empty-service-name"
	wrongTypeService = "service-name-wrong-type"
)

func processOf(r pcommon.Resource) *Process {
	p := &Process{Service: missingService}
	if v, ok := r.Attributes().Get("service.name"); ok {
		switch {
		case v.Type() != pcommon.ValueTypeStr:
			p.Service = wrongTypeService
		case v.Str() == "":
			p.Service = emptyService
		default:
			p.Service = validText(v.Str())
		}
	}
	p.Tags = appendAttributes(make([]KeyValue, 0, r.Attributes().Len()), r.Attributes(), "service.name")
	return p
}

func convert(span ptrace.Span, scope pcommon.InstrumentationScope, process *Process) *Span {
	s := &Span{
		TraceID:   TraceID(span.TraceID()),
		SpanID:    spanID(span.SpanID()),
		Operation: span.Name(),
		Start:     micros(span.StartTimestamp()),
		Duration:  int64(span.EndTimestamp()-span.StartTimestamp()) / 1000,
		Process:   process,
	}
	s.Refs = refs(span, s.TraceID)
	s.Tags = spanTags(span, scope, s)
	if span.Events().Len() > 0 {
		s.Logs = make([]Log, 0, span.Events().Len())
	}
	for _, e := range span.Events().All() {
		s.Logs = append(s.Logs, logOf(e))
	}
	if span.EndTimestamp() <= span.StartTimestamp() {
		begin := span.StartTimestamp().AsTime()
		s.Duration = 0
		s.Warnings = append(s.Warnings, fmt.Sprintf(
			"Negative duration detected, sanitizing end timestamp. Original end timestamp: %s, adjusted to: %s",
			span.EndTimestamp().AsTime(), begin.Add(time.Nanosecond)))
	}
	return s
}

// warningsAttribute carries Jaeger's own warnings through OTLP.
const warningsAttribute = "@jaeger@warnings"

func spanTags(span ptrace.Span, scope pcommon.InstrumentationScope, s *Span) []KeyValue {
	tags := make([]KeyValue, 0, span.Attributes().Len()+6)
	if scope.Name() != "" {
		tags = append(tags, StringTag("otel.scope.name", validText(scope.Name())))
	}
	if scope.Version() != "" {
		tags = append(tags, StringTag("otel.scope.version", validText(scope.Version())))
	}
	tags = appendAttributes(tags, span.Attributes(), warningsAttribute)
	if w, ok := span.Attributes().Get(warningsAttribute); ok {
		s.Warnings = warnings(w)
	}
	if !valid(s.Operation) {
		tags = append(tags, BinaryTag(invalidName, []byte(s.Operation)))
		s.Operation = invalidName
	}
	switch span.Kind() {
	case ptrace.SpanKindClient:
		tags = append(tags, StringTag("span.kind", "client"))
	case ptrace.SpanKindServer:
		tags = append(tags, StringTag("span.kind", "server"))
	case ptrace.SpanKindProducer:
		tags = append(tags, StringTag("span.kind", "producer"))
	case ptrace.SpanKindConsumer:
		tags = append(tags, StringTag("span.kind", "consumer"))
	case ptrace.SpanKindInternal:
		tags = append(tags, StringTag("span.kind", "internal"))
	}
	switch span.Status().Code() {
	case ptrace.StatusCodeError:
		tags = append(tags, StringTag("otel.status_code", "ERROR"), BoolTag("error", true))
	case ptrace.StatusCodeOk:
		tags = append(tags, StringTag("otel.status_code", "OK"))
	}
	if msg := span.Status().Message(); msg != "" {
		tags = append(tags, StringTag("otel.status_description", validText(msg)))
	}
	if state := span.TraceState().AsRaw(); state != "" {
		tags = append(tags, StringTag("w3c.tracestate", validText(state)))
	}
	return tags
}

func warnings(v pcommon.Value) (list []string) {
	if v.Type() != pcommon.ValueTypeSlice {
		return []string{v.AsString()}
	}
	for _, w := range v.Slice().All() {
		list = append(list, w.Str())
	}
	return list
}

// refs puts the parent first, unless a link names it with another type.
func refs(span ptrace.Span, trace TraceID) []Ref {
	parent := spanID(span.ParentSpanID())
	n := span.Links().Len()
	if parent == 0 && n == 0 {
		return nil
	}
	list := make([]Ref, 0, n+1)
	if parent != 0 {
		list = append(list, Ref{ChildOf, trace, parent})
	}
	for _, link := range span.Links().All() {
		r := Ref{FollowsFrom, TraceID(link.TraceID()), spanID(link.SpanID())}
		if t, ok := link.Attributes().Get("opentracing.ref_type"); ok && t.Str() == "child_of" {
			r.Type = ChildOf
		}
		if parent != 0 && r.TraceID == trace && r.SpanID == parent {
			list[0].Type = r.Type
			continue
		}
		list = append(list, r)
	}
	return list
}

func logOf(e ptrace.SpanEvent) Log {
	l := Log{Time: micros(e.Timestamp()), Fields: make([]KeyValue, 0, e.Attributes().Len()+1)}
	if _, named := e.Attributes().Get("event"); !named && e.Name() != "" {
		l.Fields = append(l.Fields, StringTag("event", validText(e.Name())))
	}
	l.Fields = appendAttributes(l.Fields, e.Attributes(), "")
	return l
}

func micros(t pcommon.Timestamp) int64 { return int64(t / 1000) }

func spanID(id pcommon.SpanID) SpanID { return SpanID(binary.BigEndian.Uint64(id[:])) }
