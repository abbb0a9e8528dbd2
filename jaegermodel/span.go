package jaegermodel

import "slices"

// RefType says how a span refers to another.
type RefType uint8

// The kinds of reference.
const (
	ChildOf RefType = iota
	FollowsFrom
)

// Ref is a reference to another span.
type Ref struct {
	Type    RefType
	TraceID TraceID
	SpanID  SpanID
}

// Log is an event within a span.
type Log struct {
	Time   int64 // µs since the epoch
	Fields []KeyValue
}

// Process is who made a span. Spans of one batch share it: it is read only.
type Process struct {
	Service string
	Tags    []KeyValue
}

// Span is Jaeger's span.
type Span struct {
	TraceID   TraceID
	SpanID    SpanID
	Operation string
	Refs      []Ref
	Flags     uint32
	Start     int64 // µs since the epoch
	Duration  int64 // µs
	Tags      []KeyValue
	Logs      []Log
	Process   *Process
	Warnings  []string
}

// Trace is the spans of one trace id.
type Trace struct {
	Spans []*Span
}

// ID is the id of the trace.
func (t *Trace) ID() TraceID {
	if len(t.Spans) == 0 {
		return TraceID{}
	}
	return t.Spans[0].TraceID
}

// Parent is the span that this one is child of, else the one it follows from,
// in the same trace; 0 if there is none.
func (s *Span) Parent() SpanID {
	var follows SpanID
	for _, r := range s.Refs {
		if r.TraceID != s.TraceID {
			continue
		}
		if r.Type == ChildOf {
			return r.SpanID
		}
		if follows == 0 {
			follows = r.SpanID
		}
	}
	return follows
}

// Tag returns the first tag with the key.
func (s *Span) Tag(key string) (KeyValue, bool) {
	i := slices.IndexFunc(s.Tags, func(kv KeyValue) bool { return kv.Key == key })
	if i < 0 {
		return KeyValue{}, false
	}
	return s.Tags[i], true
}

// Kinds are the values of span.kind that Jaeger knows.
var Kinds = []string{"client", "server", "producer", "consumer", "internal"}

// Kind is span.kind; "" if there is none that Jaeger knows.
func (s *Span) Kind() string {
	kv, ok := s.Tag("span.kind")
	if !ok || kv.Type != String || !slices.Contains(Kinds, kv.Str) {
		return ""
	}
	return kv.Str
}

// EachTag calls f with every tag that a search finds the span by: those of the
// process, of the span and the fields of its logs. Binary values are not
// searched.
func (s *Span) EachTag(f func(*KeyValue)) {
	each := func(kvs []KeyValue) {
		for i := range kvs {
			if kvs[i].Type != Binary {
				f(&kvs[i])
			}
		}
	}
	each(s.Process.Tags)
	each(s.Tags)
	for i := range s.Logs {
		each(s.Logs[i].Fields)
	}
}
