package als

import (
	"math"
	"math/rand/v2"
	"testing"

	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// wireWriter writes messages as no encoder would, but as the generated code
// accepts them: fields in any order and number, submessages in several parts,
// wrong wire types, groups, unknown fields, overlong varints.
type wireWriter struct{ *rand.Rand }

var wireStrings = []string{
	"", "a", "source_app", "reporter", "policy_rule", "trace_id", "destination_service", "traceparent", "x-b3-traceid",
	"content-type", "grpc-status", "downstream_peer", "upstream_peer", "wasm.downstream_peer", "wasm.upstream_peer", "envoy.filters.http.grpc_stats",
	"type.googleapis.com/google.protobuf.Struct",
	"type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterObject", "10.0.0.1", "spiffe://td/ns/n/sa/s",
	"a value of more than one hundred and twenty-seven bytes, so that its length takes two: spiffe://cluster.local/ns/default/sa/bookinfo-productpage",
}

func (w wireWriter) pick() string { return wireStrings[w.IntN(len(wireStrings))] }

func (w wireWriter) number() uint64 {
	switch w.IntN(6) {
	case 0:
		return 0
	case 1:
		return uint64(w.IntN(128))
	case 2:
		return uint64(w.IntN(1 << 21))
	case 3:
		return math.MaxUint64 - uint64(w.IntN(3))
	case 4:
		return uint64(w.Uint32())
	}
	return w.Uint64()
}

// varint writes v, at times longer than it need be.
func (w wireWriter) varint(b []byte, v uint64) []byte {
	b = protowire.AppendVarint(b, v)
	if n := protowire.SizeVarint(v); w.IntN(12) == 0 && n < 8 {
		b[len(b)-1] |= 0x80
		for range w.IntN(2) {
			b = append(b, 0x80)
		}
		b = append(b, 0)
	}
	return b
}

func (w wireWriter) tag(b []byte, num protowire.Number, typ protowire.Type) []byte {
	return w.varint(b, protowire.EncodeTag(num, typ))
}

func (w wireWriter) bytes(b, v []byte) []byte { return append(w.varint(b, uint64(len(v))), v...) }

// junk writes a field of any number with a value of any wire type.
func (w wireWriter) junk(b []byte, num protowire.Number, depth int) []byte {
	switch w.IntN(5) {
	case 0:
		return w.varint(w.tag(b, num, protowire.VarintType), w.number())
	case 1:
		return protowire.AppendFixed32(w.tag(b, num, protowire.Fixed32Type), w.Uint32())
	case 2:
		return protowire.AppendFixed64(w.tag(b, num, protowire.Fixed64Type), w.Uint64())
	case 3:
		b = w.tag(b, num, protowire.StartGroupType)
		for depth < 3 && w.IntN(2) == 0 {
			b = w.junk(b, 1+protowire.Number(w.IntN(40)), depth+1)
		}
		return w.tag(b, num, protowire.EndGroupType)
	}
	return w.bytes(w.tag(b, num, protowire.BytesType), []byte(w.pick()))
}

// message writes fields of a message.
func (w wireWriter) message(md protoreflect.MessageDescriptor, depth int) (b []byte) {
	fields := md.Fields()
	for range w.IntN(2 + fields.Len()) {
		if w.IntN(25) == 0 {
			b = w.junk(b, 1+protowire.Number(w.IntN(1<<w.IntN(29))), 0)
			continue
		}
		fd := fields.Get(w.IntN(fields.Len()))
		wrong := w.IntN(40) == 0
		num := fd.Number()
		switch fd.Kind() {
		case protoreflect.MessageKind:
			if wrong {
				b = w.varint(w.tag(b, num, protowire.VarintType), w.number())
			} else if depth < 9 {
				b = w.bytes(w.tag(b, num, protowire.BytesType), w.message(fd.Message(), depth+1))
			}
		case protoreflect.StringKind, protoreflect.BytesKind:
			if wrong {
				b = protowire.AppendFixed64(w.tag(b, num, protowire.Fixed64Type), w.Uint64())
			} else {
				b = w.bytes(w.tag(b, num, protowire.BytesType), []byte(w.pick()))
			}
		case protoreflect.DoubleKind:
			b = protowire.AppendFixed64(w.tag(b, num, protowire.Fixed64Type), w.Uint64())
		default:
			if wrong {
				b = w.bytes(w.tag(b, num, protowire.BytesType), []byte(w.pick()))
			} else {
				b = w.varint(w.tag(b, num, protowire.VarintType), w.number())
			}
		}
	}
	return b
}

// entries writes a message full of entries, without an identifier.
func (w wireWriter) entries() (b []byte) {
	md := new(alsv3.StreamAccessLogsMessage).ProtoReflect().Descriptor()
	for range 1 + w.IntN(3) {
		logs := md.Fields().ByNumber(protoreflect.FieldNumber(2 + w.IntN(2)))
		var list []byte
		entry := logs.Message().Fields().ByNumber(1)
		for range w.IntN(3) {
			list = w.bytes(w.tag(list, 1, protowire.BytesType), w.message(entry.Message(), 2))
		}
		b = w.bytes(w.tag(b, logs.Number(), protowire.BytesType), list)
	}
	return b
}

func TestDecodeRandomWire(t *testing.T) {
	accepted, entries := 0, 0
	const n = 20_000
	for seed := range uint64(n) {
		w := wireWriter{rand.New(rand.NewPCG(seed, 1))}
		data := w.entries()
		m := new(alsv3.StreamAccessLogsMessage)
		if proto.Unmarshal(data, m) == nil {
			accepted++
			entries += len(m.GetHttpLogs().GetLogEntry()) + len(m.GetTcpLogs().GetLogEntry())
		}
		checkFrame(t, data)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if len(data) > 0 { // every message cut off somewhere
			checkFrame(t, data[:w.IntN(len(data))])
		}
	}
	if accepted < n*9/10 || entries < n/2 {
		t.Errorf("of %d messages the generated code accepts %d with %d entries: the test tests little", n, accepted, entries)
	}
}
