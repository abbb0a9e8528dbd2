package extauthz

import (
	"math"
	"math/rand/v2"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

// wireWriter writes messages as no encoder would, but as the generated code
// accepts them: fields in any order and number, submessages in several parts,
// wrong wire types, groups, unknown fields, overlong varints.
type wireWriter struct{ *rand.Rand }

var wireStrings = []string{
	"", "a", "x-user", "10.0.0.1", "spiffe://td/ns/n/sa/s", "/a/b%2fc//d?q=1&q=2&r", "/", "?", "/é", "GET", "type.googleapis.com/google.protobuf.Struct",
	"a value of more than one hundred and twenty-seven bytes, so that its length takes two: spiffe://cluster.local/ns/default/sa/bookinfo-productpage",
}

func (w wireWriter) pick() string { return wireStrings[w.IntN(len(wireStrings))] }

func (w wireWriter) number() uint64 {
	switch w.IntN(5) {
	case 0:
		return 0
	case 1:
		return uint64(w.IntN(128))
	case 2:
		return uint64(w.IntN(1 << 21))
	case 3:
		return uint64(w.Uint32())
	}
	return math.MaxUint64 - uint64(w.IntN(3))
}

// varint writes v, at times longer than it need be.
func (w wireWriter) varint(b []byte, v uint64) []byte {
	b = protowire.AppendVarint(b, v)
	if n := protowire.SizeVarint(v); w.IntN(12) == 0 && n < 8 {
		b[len(b)-1] |= 0x80
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
	switch w.IntN(4) {
	case 0:
		return w.varint(w.tag(b, num, protowire.VarintType), w.number())
	case 1:
		return protowire.AppendFixed32(w.tag(b, num, protowire.Fixed32Type), w.Uint32())
	case 2:
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
			b = w.junk(b, 1000+protowire.Number(w.IntN(1<<w.IntN(28))), 0)
			continue
		}
		fd := fields.Get(w.IntN(fields.Len()))
		num := fd.Number()
		if w.IntN(40) == 0 {
			b = protowire.AppendFixed32(w.tag(b, num, protowire.Fixed32Type), w.Uint32())
			continue
		}
		switch fd.Kind() {
		case protoreflect.MessageKind:
			switch name := fd.Message().FullName(); {
			case depth > 11 || name == "google.protobuf.Any":
			case name == "google.protobuf.Timestamp":
				t := w.varint(w.tag(nil, 1, protowire.VarintType), uint64(w.IntN(1<<40)))
				t = w.varint(w.tag(t, 2, protowire.VarintType), uint64(w.IntN(1000)*[]int{1, 1000, 1_000_000}[w.IntN(3)]))
				b = w.bytes(w.tag(b, num, protowire.BytesType), t)
			default:
				b = w.bytes(w.tag(b, num, protowire.BytesType), w.message(fd.Message(), depth+1))
			}
		case protoreflect.StringKind, protoreflect.BytesKind:
			b = w.bytes(w.tag(b, num, protowire.BytesType), []byte(w.pick()))
		case protoreflect.DoubleKind:
			b = protowire.AppendFixed64(w.tag(b, num, protowire.Fixed64Type), math.Float64bits(w.NormFloat64()*math.Pow(10, float64(w.IntN(50)-25))))
		default:
			b = w.varint(w.tag(b, num, protowire.VarintType), w.number())
		}
	}
	return b
}

func TestLensEqualsGeneratedDecodingOfRandomWire(t *testing.T) {
	l := newTestLens()
	compared, n := 0, 10_000
	if testing.Short() {
		n = 2000
	}
	types := []protoreflect.MessageDescriptor{
		new(authv3.CheckRequest).ProtoReflect().Descriptor(),
		new(authv3.AttributeContext).ProtoReflect().Descriptor(),
		new(authv3.AttributeContext_HttpRequest).ProtoReflect().Descriptor(),
		new(authv3.AttributeContext_Peer).ProtoReflect().Descriptor(),
		new(corev3.Metadata).ProtoReflect().Descriptor(),
		new(structpb.Struct).ProtoReflect().Descriptor(),
	}
	// wrap makes a request of a message that is somewhere inside of one.
	wrap := func(i int, b []byte) []byte {
		in := func(b []byte, nums ...protowire.Number) []byte {
			for _, num := range nums {
				b = protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
			}
			return b
		}
		switch i {
		case 1:
			return in(b, 1)
		case 2:
			return in(b, 2, 4, 1)
		case 3:
			return in(b, 2, 1)
		case 4:
			return in(b, 11, 1)
		case 5:
			entry := append([]byte{1<<3 | wireBytes, 1, 'f'}, in(b, 2)...)
			return in(entry, 1, 11, 1)
		}
		return b
	}
	for seed := range uint64(n) {
		w := wireWriter{rand.New(rand.NewPCG(seed, 1))}
		var data []byte
		for range 1 + w.IntN(3) { // parts of one message
			i := w.IntN(len(types))
			data = append(data, wrap(i, w.message(types[i], 0))...)
		}
		if _, ok := oracle(t, data); ok {
			compared++
		}
		checkLens(t, l, data)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if len(data) > 0 { // every message cut off somewhere
			checkLens(t, l, data[:w.IntN(len(data))])
		}
	}
	t.Logf("%d of %d compared", compared, n)
	if compared < n/4 {
		t.Errorf("of %d messages %d can be compared: the test tests little", n, compared)
	}
}

func TestLensJoinsManyPartsInLinearTime(t *testing.T) {
	part := mustMarshal(t, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{MetadataContext: &corev3.Metadata{
		FilterMetadata: map[string]*structpb.Struct{"f": {}},
	}}})
	data := make([]byte, 0, 4<<20)
	for len(data)+len(part) < cap(data) {
		data = append(data, part...)
	}
	l := newTestLens()
	if !l.reset(data) {
		t.Fatal("malformed")
	}
	if _, ok := l.Lookup([]string{"attributes", "metadataContext", "filterMetadata", "f"}); !ok {
		t.Error("absent")
	}
	if err := proto.Unmarshal(data, new(authv3.CheckRequest)); err != nil {
		t.Fatal(err)
	}
}
