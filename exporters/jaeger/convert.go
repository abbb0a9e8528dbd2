package jaeger

import (
	"github.com/uber/jaeger-client-go/thrift-gen/jaeger"

	"github.com/tallygate/tallygate/jaegermodel"
)

// batches makes a batch of each run of spans of one process.
func batches(spans []*jaegermodel.Span) (list []*jaeger.Batch) {
	var last *jaegermodel.Process
	for _, s := range spans {
		if s.Process != last || len(list) == 0 {
			last = s.Process
			list = append(list, &jaeger.Batch{Process: &jaeger.Process{ServiceName: last.Service, Tags: tags(last.Tags)}})
		}
		b := list[len(list)-1]
		b.Spans = append(b.Spans, span(s))
	}
	return list
}

func span(s *jaegermodel.Span) *jaeger.Span {
	t := &jaeger.Span{
		TraceIdHigh: int64(s.TraceID.High()), TraceIdLow: int64(s.TraceID.Low()),
		SpanId: int64(s.SpanID), ParentSpanId: int64(s.Parent()),
		OperationName: s.Operation, Flags: int32(s.Flags), StartTime: s.Start, Duration: s.Duration,
		Tags: tags(s.Tags),
	}
	for _, r := range s.Refs {
		ref := &jaeger.SpanRef{
			RefType:     jaeger.SpanRefType_CHILD_OF,
			TraceIdHigh: int64(r.TraceID.High()), TraceIdLow: int64(r.TraceID.Low()), SpanId: int64(r.SpanID),
		}
		if r.Type == jaegermodel.FollowsFrom {
			ref.RefType = jaeger.SpanRefType_FOLLOWS_FROM
		}
		t.References = append(t.References, ref)
	}
	for _, l := range s.Logs {
		t.Logs = append(t.Logs, &jaeger.Log{Timestamp: l.Time, Fields: tags(l.Fields)})
	}
	return t
}

func tags(kvs []jaegermodel.KeyValue) []*jaeger.Tag {
	list := make([]*jaeger.Tag, len(kvs))
	for i := range kvs {
		kv := &kvs[i]
		t := &jaeger.Tag{Key: kv.Key}
		switch kv.Type {
		case jaegermodel.Bool:
			t.VType, t.VBool = jaeger.TagType_BOOL, new(kv.Bool())
		case jaegermodel.Int64:
			t.VType, t.VLong = jaeger.TagType_LONG, new(kv.Int64())
		case jaegermodel.Float64:
			t.VType, t.VDouble = jaeger.TagType_DOUBLE, new(kv.Float64())
		case jaegermodel.Binary:
			t.VType, t.VBinary = jaeger.TagType_BINARY, kv.Bin
			if t.VBinary == nil {
				t.VBinary = []byte{}
			}
		default:
			t.VType, t.VStr = jaeger.TagType_STRING, new(kv.Str)
		}
		list[i] = t
	}
	return list
}
