package als

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/tallygate/tallygate/ingest/wire/wiretest"
	"google.golang.org/protobuf/proto"
)

// TestMetadataRandomWire: the labels are what the generated code reads.
func TestMetadataRandomWire(t *testing.T) {
	labels := &labelSet{n: 3, metadata: []metadataKey{{0, "a", "a"}, {1, "a", "b"}, {2, "b", "a"}}}
	texts := 0
	for seed := range uint64(250_000) {
		w := wiretest.New(seed, []string{"a", "b", ""}, 6)
		data := w.Message(new(corev3.Metadata).ProtoReflect().Descriptor(), 0)
		m := new(corev3.Metadata)
		r := new(record)
		r.setLabels(labels)
		if ok := r.metadata(data); proto.Unmarshal(data, m) != nil {
			continue
		} else if !ok {
			t.Fatalf("seed %d: refused %x", seed, data)
		}
		for _, k := range labels.metadata {
			want := m.GetFilterMetadata()[k.filter].GetFields()[k.key].GetStringValue()
			if got := r.custom[k.label]; got != want {
				t.Fatalf("seed %d: %+v is %q; want %q, of %x", seed, k, got, want, data)
			}
			if want != "" {
				texts++
			}
		}
	}
	if texts < 400 {
		t.Errorf("%d texts: the test tests little", texts)
	}
}
