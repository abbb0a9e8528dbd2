package cassandra

import (
	"fmt"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/tallygate/tallygate/jaegermodel"
)

// keyValue, logEntry, spanRef, process and dependency are the types of the
// schema.
type (
	keyValue struct{ jaegermodel.KeyValue }
	logEntry struct {
		time   int64
		fields []keyValue
	}
	spanRef struct{ jaegermodel.Ref }
	process struct {
		service string
		tags    []keyValue
	}
	dependency struct {
		parent, child, source string
		calls                 int64
	}
)

// sourceJaeger is what Jaeger takes an edge without a source for.
const sourceJaeger = "jaeger"

func keyValuesOf(tags []jaegermodel.KeyValue) []keyValue {
	out := make([]keyValue, len(tags))
	for i := range tags {
		out[i] = keyValue{tags[i]}
	}
	return out
}

func tagsOf(kvs []keyValue) []jaegermodel.KeyValue {
	out := make([]jaegermodel.KeyValue, len(kvs))
	for i := range kvs {
		out[i] = kvs[i].KeyValue
	}
	return out
}

// MarshalUDT implements gocql.UDTMarshaler.
func (kv keyValue) MarshalUDT(name string, info gocql.TypeInfo) ([]byte, error) {
	switch name {
	case "key":
		return []byte(kv.Key), nil
	case "value_type":
		return []byte(kv.Type.String()), nil
	case "value_string":
		return []byte(kv.Str), nil
	case "value_bool":
		return gocql.Marshal(info, kv.KeyValue.Bool())
	case "value_long":
		n := int64(0)
		if kv.Type == jaegermodel.Int64 {
			n = kv.Int64()
		}
		return gocql.Marshal(info, n)
	case "value_double":
		f := 0.0
		if kv.Type == jaegermodel.Float64 {
			f = kv.Float64()
		}
		return gocql.Marshal(info, f)
	case "value_binary":
		return kv.Bin, nil
	}
	return nil, unknownField("keyvalue", name)
}

// UnmarshalUDT implements gocql.UDTUnmarshaler. The type comes before the values.
func (kv *keyValue) UnmarshalUDT(name string, info gocql.TypeInfo, data []byte) error {
	switch name {
	case "key":
		kv.KeyValue = jaegermodel.KeyValue{Key: string(data)}
	case "value_type":
		t, ok := jaegermodel.ParseValueType(string(data))
		if !ok {
			return fmt.Errorf("tag %q has the unknown type %q", kv.Key, data)
		}
		kv.Type = t
	case "value_string":
		if kv.Type == jaegermodel.String {
			kv.Str = string(data)
		}
	case "value_bool":
		var v bool
		if err := gocql.Unmarshal(info, data, &v); err != nil {
			return err
		}
		if kv.Type == jaegermodel.Bool {
			kv.KeyValue = jaegermodel.BoolTag(kv.Key, v)
		}
	case "value_long":
		var v int64
		if err := gocql.Unmarshal(info, data, &v); err != nil {
			return err
		}
		if kv.Type == jaegermodel.Int64 {
			kv.KeyValue = jaegermodel.Int64Tag(kv.Key, v)
		}
	case "value_double":
		var v float64
		if err := gocql.Unmarshal(info, data, &v); err != nil {
			return err
		}
		if kv.Type == jaegermodel.Float64 {
			kv.KeyValue = jaegermodel.Float64Tag(kv.Key, v)
		}
	case "value_binary":
		if kv.Type == jaegermodel.Binary {
			kv.Bin = append([]byte{}, data...)
		}
	}
	return nil
}

// MarshalUDT implements gocql.UDTMarshaler.
func (l logEntry) MarshalUDT(name string, info gocql.TypeInfo) ([]byte, error) {
	switch name {
	case "ts":
		return gocql.Marshal(info, l.time)
	case "fields":
		return gocql.Marshal(info, l.fields)
	}
	return nil, unknownField("log", name)
}

// UnmarshalUDT implements gocql.UDTUnmarshaler.
func (l *logEntry) UnmarshalUDT(name string, info gocql.TypeInfo, data []byte) error {
	switch name {
	case "ts":
		return gocql.Unmarshal(info, data, &l.time)
	case "fields":
		l.fields = nil
		return gocql.Unmarshal(info, data, &l.fields)
	}
	return nil
}

// MarshalUDT implements gocql.UDTMarshaler.
func (r spanRef) MarshalUDT(name string, info gocql.TypeInfo) ([]byte, error) {
	switch name {
	case "ref_type":
		if r.Type == jaegermodel.FollowsFrom {
			return []byte("follows-from"), nil
		}
		return []byte("child-of"), nil
	case "trace_id":
		return r.TraceID[:], nil
	case "span_id":
		return gocql.Marshal(info, int64(r.SpanID))
	}
	return nil, unknownField("span_ref", name)
}

// UnmarshalUDT implements gocql.UDTUnmarshaler.
func (r *spanRef) UnmarshalUDT(name string, info gocql.TypeInfo, data []byte) error {
	switch name {
	case "ref_type":
		switch string(data) {
		case "child-of":
			r.Type = jaegermodel.ChildOf
		case "follows-from":
			r.Type = jaegermodel.FollowsFrom
		default:
			return fmt.Errorf("a reference has the unknown type %q", data)
		}
	case "trace_id":
		return setTraceID(&r.TraceID, data)
	case "span_id":
		var id int64
		err := gocql.Unmarshal(info, data, &id)
		r.SpanID = jaegermodel.SpanID(id)
		return err
	}
	return nil
}

func setTraceID(id *jaegermodel.TraceID, data []byte) error {
	if len(data) != len(id) {
		return fmt.Errorf("a trace id has %d bytes, not 16", len(data))
	}
	copy(id[:], data)
	return nil
}

// MarshalUDT implements gocql.UDTMarshaler.
func (p process) MarshalUDT(name string, info gocql.TypeInfo) ([]byte, error) {
	switch name {
	case "service_name":
		return []byte(p.service), nil
	case "tags":
		return gocql.Marshal(info, p.tags)
	}
	return nil, unknownField("process", name)
}

// UnmarshalUDT implements gocql.UDTUnmarshaler.
func (p *process) UnmarshalUDT(name string, info gocql.TypeInfo, data []byte) error {
	switch name {
	case "service_name":
		p.service = string(data)
	case "tags":
		p.tags = nil
		return gocql.Unmarshal(info, data, &p.tags)
	}
	return nil
}

// MarshalUDT implements gocql.UDTMarshaler.
func (d dependency) MarshalUDT(name string, info gocql.TypeInfo) ([]byte, error) {
	switch name {
	case "parent":
		return []byte(d.parent), nil
	case "child":
		return []byte(d.child), nil
	case "call_count":
		return gocql.Marshal(info, d.calls)
	case "source":
		return []byte(d.source), nil
	}
	return nil, unknownField("dependency", name)
}

// UnmarshalUDT implements gocql.UDTUnmarshaler.
func (d *dependency) UnmarshalUDT(name string, info gocql.TypeInfo, data []byte) error {
	switch name {
	case "parent":
		d.parent = string(data)
	case "child":
		d.child = string(data)
	case "call_count":
		return gocql.Unmarshal(info, data, &d.calls)
	case "source":
		d.source = string(data)
	}
	return nil
}

func unknownField(udt, name string) error {
	return fmt.Errorf("type %s has the field %q, which is not of Jaeger's schema v004", udt, name)
}
