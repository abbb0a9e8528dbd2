package extauthz

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/ingest/wire/wiretest"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

var wireStrings = []string{
	"", "a", "x-user", "10.0.0.1", "spiffe://td/ns/n/sa/s", "/a/b%2fc//d?q=1&q=2&r", "/", "?", "/é", "GET", "type.googleapis.com/google.protobuf.Struct",
	"a value of more than one hundred and twenty-seven bytes, so that its length takes two: spiffe://cluster.local/ns/default/sa/bookinfo-productpage",
}

// submessage leaves out Any, which protojson cannot say without its type, and
// writes times that it can say.
func submessage(w *wiretest.Writer, md protoreflect.MessageDescriptor) (content []byte, own bool) {
	switch md.FullName() {
	case "google.protobuf.Any":
		return nil, true
	case "google.protobuf.Timestamp":
		t := w.Varint(w.Tag(nil, 1, protowire.VarintType), uint64(w.IntN(1<<40)))
		return w.Varint(w.Tag(t, 2, protowire.VarintType), uint64(w.IntN(1000)*[]int{1, 1000, 1_000_000}[w.IntN(3)])), true
	}
	return nil, false
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
			entry := append([]byte{1<<3 | wire.Bytes, 1, 'f'}, in(b, 2)...)
			return in(entry, 1, 11, 1)
		}
		return b
	}
	for seed := range uint64(n) {
		w := wiretest.New(seed, wireStrings, 12)
		w.Unknown, w.Submessage = 1000, submessage
		var data []byte
		for range 1 + w.IntN(3) { // parts of one message
			i := w.IntN(len(types))
			data = append(data, wrap(i, w.Message(types[i], 0))...)
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
