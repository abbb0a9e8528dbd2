package als

import (
	"testing"

	"github.com/tallygate/tallygate/mesh"
)

// TestNames looks up every name, and every name with one byte changed, added or
// removed.
func TestNames(t *testing.T) {
	names := map[string]slot{"trace_id": slotTraceID, "span_id": slotSpanID, "trace_sampled": slotTraceSampled}
	for l := mesh.Label(0); l < mesh.NumLabels; l++ {
		names[l.String()] = slot(l)
	}
	headers := map[string]slot{
		"traceparent": slotTraceparent, "x-b3-traceid": slotB3TraceID, "x-b3-spanid": slotB3SpanID,
		"x-b3-sampled": slotB3Sampled, "content-type": slotContentType,
	}
	f := func(find func([]byte) slot, names map[string]slot, name string) {
		t.Helper()
		want, ok := names[name]
		if !ok {
			want = numSlots
		}
		if got := find([]byte(name)); got != want {
			t.Errorf("%q has slot %d; want %d", name, got, want)
		}
	}
	for _, table := range []struct {
		find  func([]byte) slot
		names map[string]slot
	}{{tagSlot, names}, {headerNames.findShort, headers}} {
		for name := range table.names {
			f(table.find, table.names, name)
			f(table.find, table.names, name+"x")
			f(table.find, table.names, "x"+name)
			f(table.find, table.names, name+name)
			f(table.find, table.names, name+"                                ")
			for i := range name {
				f(table.find, table.names, name[:i])
				f(table.find, table.names, name[:i]+name[i+1:])
				for bit := range 8 {
					b := []byte(name)
					b[i] ^= 1 << bit
					f(table.find, table.names, string(b))
				}
			}
		}
		f(table.find, table.names, "")
	}
}
