package als

import (
	"encoding/binary"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// nameTable finds the slots of map keys: every tag and header of every entry is
// looked up. It is a perfect hash table that compares names without a branch
// that depends on them, as the order of a map's entries is random. It holds names
// of 8 to 32 bytes.
type nameTable struct {
	multiplier uint32
	rows       [128]nameRow
}

type nameRow struct {
	head, next, prev, tail uint64 // the first and the last 16 bytes, or 8 twice
	n                      int
	slot                   slot
	_                      [16]byte // a row in a cache line
}

func newNameRow(name []byte, s slot) nameRow {
	n := len(name)
	return nameRow{
		head: binary.LittleEndian.Uint64(name),
		next: binary.LittleEndian.Uint64(name[min(8, n-8):]),
		prev: binary.LittleEndian.Uint64(name[max(0, n-16):]),
		tail: binary.LittleEndian.Uint64(name[n-8:]),
		n:    n, slot: s,
	}
}

// hash needs the end and the length: the labels of both sides end alike.
func (t *nameTable) hash(tail uint64, n int) uint32 {
	return (uint32(tail>>32) ^ uint32(n)) * t.multiplier >> 25
}

func newNameTable(names map[string]slot) *nameTable {
	t := new(nameTable)
search:
	for t.multiplier = 0x9e3779b1; ; t.multiplier += 2 {
		t.rows = [128]nameRow{}
		for name, s := range names {
			row := newNameRow([]byte(name), s)
			place := &t.rows[t.hash(row.tail, row.n)]
			if place.n != 0 {
				continue search
			}
			*place = row
		}
		return t
	}
}

// find returns the slot of a name, numSlots if it has none.
func (t *nameTable) find(name []byte) slot {
	n := len(name)
	if n < 8 || n > 32 {
		return numSlots
	}
	tail := binary.LittleEndian.Uint64(name[n-8:])
	row := &t.rows[t.hash(tail, n)]
	differs := (tail ^ row.tail) | (binary.LittleEndian.Uint64(name) ^ row.head) |
		(binary.LittleEndian.Uint64(name[min(8, n-8):]) ^ row.next) |
		(binary.LittleEndian.Uint64(name[max(0, n-16):]) ^ row.prev) | uint64(n^row.n)
	to := row.slot
	if differs != 0 {
		to = numSlots
	}
	return to
}

// findShort is find for tables of names of at most 16 bytes.
func (t *nameTable) findShort(name []byte) slot {
	n := len(name)
	if n < 8 || n > 16 {
		return numSlots
	}
	tail := binary.LittleEndian.Uint64(name[n-8:])
	row := &t.rows[t.hash(tail, n)]
	differs := (tail ^ row.tail) | (binary.LittleEndian.Uint64(name) ^ row.head) | uint64(n^row.n)
	to := row.slot
	if differs != 0 {
		to = numSlots
	}
	return to
}

// tagNames are the custom tags with a meaning of their own: every label, and
// what feeds the traces.
var tagNames = func() *nameTable {
	names := map[string]slot{"trace_id": slotTraceID, "trace_sampled": slotTraceSampled}
	for l := mesh.Label(0); l < mesh.NumLabels; l++ {
		names[l.String()] = slot(l)
	}
	return newNameTable(names)
}()

// tagSlot returns the slot of a custom tag.
func tagSlot(name []byte) slot {
	if wire.Lend(name) == "span_id" { // shorter than the others
		return slotSpanID
	}
	return tagNames.find(name)
}

// headerNames are the request headers that are looked at.
var headerNames = newNameTable(map[string]slot{
	"traceparent": slotTraceparent, "x-b3-traceid": slotB3TraceID, "x-b3-spanid": slotB3SpanID,
	"x-b3-sampled": slotB3Sampled, "uber-trace-id": slotUber, "content-type": slotContentType,
})

// headerSlot returns the slot of a request header.
func headerSlot(name []byte) slot {
	if len(name) == 2 && name[0] == 'b' && name[1] == '3' { // shorter than the others
		return slotB3
	}
	return headerNames.findShort(name)
}
