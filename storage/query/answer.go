package query

import (
	"math"
	"strconv"

	"github.com/tallygate/tallygate/jaegermodel"
)

// Answer is the envelope of every answer.
type Answer[T any] struct {
	Data   T       `json:"data"`
	Total  int     `json:"total"`
	Limit  int     `json:"limit"`
	Offset int     `json:"offset"`
	Errors []Error `json:"errors"`
}

// Error is what went wrong, for the whole request or for one trace.
type Error struct {
	Code    int    `json:"code,omitempty"`
	Msg     string `json:"msg"`
	TraceID string `json:"traceID,omitempty"`
}

// Trace is a trace in Jaeger's JSON.
type Trace struct {
	TraceID   string             `json:"traceID"`
	Spans     []Span             `json:"spans"`
	Processes map[string]Process `json:"processes"`
	Warnings  []string           `json:"warnings"`
}

// Span is a span in Jaeger's JSON.
type Span struct {
	TraceID   string      `json:"traceID"`
	SpanID    string      `json:"spanID"`
	Flags     uint32      `json:"flags,omitempty"`
	Operation string      `json:"operationName"`
	Refs      []Reference `json:"references"`
	Start     int64       `json:"startTime"` // µs since the epoch
	Duration  int64       `json:"duration"`  // µs
	Tags      []KeyValue  `json:"tags"`
	Logs      []Log       `json:"logs"`
	ProcessID string      `json:"processID,omitempty"`
	Warnings  []string    `json:"warnings"`
}

// Reference is a reference to another span: CHILD_OF or FOLLOWS_FROM.
type Reference struct {
	Type    string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

// Process is who made spans.
type Process struct {
	Service string     `json:"serviceName"`
	Tags    []KeyValue `json:"tags"`
}

// Log is an event of a span.
type Log struct {
	Time   int64      `json:"timestamp"` // µs since the epoch
	Fields []KeyValue `json:"fields"`
}

// KeyValue is a tag. Binary values are in base64; integers that JavaScript cannot
// hold are text.
type KeyValue struct {
	Key   string `json:"key"`
	Type  string `json:"type,omitempty"`
	Value any    `json:"value"`
}

// Operation is the name of spans with their kind.
type Operation struct {
	Name string `json:"name"`
	Kind string `json:"spanKind"`
}

// Dependency is how often one service called another.
type Dependency struct {
	Parent string `json:"parent"`
	Child  string `json:"child"`
	Calls  uint64 `json:"callCount"`
}

// traceOf renders a trace; equal processes have one id.
func traceOf(t *jaegermodel.Trace) Trace {
	out := Trace{Spans: make([]Span, len(t.Spans)), Processes: map[string]Process{}}
	if len(t.Spans) > 0 {
		out.TraceID = t.ID().String()
	}
	ids := map[string]string{}
	for i, s := range t.Spans {
		form := string(s.Process.Append(nil))
		id, known := ids[form]
		if !known {
			id = "p" + strconv.Itoa(len(ids)+1)
			ids[form] = id
			out.Processes[id] = Process{Service: s.Process.Service, Tags: keyValues(s.Process.Tags)}
		}
		out.Spans[i] = spanOf(s, id)
	}
	return out
}

func spanOf(s *jaegermodel.Span, process string) Span {
	out := Span{
		TraceID: s.TraceID.String(), SpanID: s.SpanID.String(), Flags: s.Flags, Operation: s.Operation,
		Refs: make([]Reference, len(s.Refs)), Start: s.Start, Duration: s.Duration,
		Tags: keyValues(s.Tags), Logs: make([]Log, len(s.Logs)), ProcessID: process, Warnings: s.Warnings,
	}
	for i, r := range s.Refs {
		out.Refs[i] = Reference{"CHILD_OF", r.TraceID.String(), r.SpanID.String()}
		if r.Type == jaegermodel.FollowsFrom {
			out.Refs[i].Type = "FOLLOWS_FROM"
		}
	}
	for i, l := range s.Logs {
		out.Logs[i] = Log{l.Time, keyValues(l.Fields)}
	}
	return out
}

// maxSafe is the largest integer that JavaScript holds exactly.
const maxSafe = 1<<53 - 1

func keyValues(kvs []jaegermodel.KeyValue) []KeyValue {
	out := make([]KeyValue, len(kvs))
	for i := range kvs {
		kv := &kvs[i]
		out[i] = KeyValue{Key: kv.Key, Type: kv.Type.String()}
		switch kv.Type {
		case jaegermodel.Bool:
			out[i].Value = kv.Bool()
		case jaegermodel.Int64:
			out[i].Value = kv.Int64()
			if n := kv.Int64(); n > maxSafe || n < -maxSafe {
				out[i].Value = kv.Text()
			}
		case jaegermodel.Float64:
			out[i].Value = kv.Float64()
			if f := kv.Float64(); math.IsNaN(f) || math.IsInf(f, 0) {
				out[i].Value = kv.Text() // JSON has no such number
			}
		case jaegermodel.Binary:
			out[i].Value = kv.Bin
		default:
			out[i].Value = kv.Str
		}
	}
	return out
}
