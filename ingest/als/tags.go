package als

import "github.com/tallygate/tallygate/mesh"

// tagSlots are the custom tags with a meaning of their own: every label, and
// what feeds the traces.
var tagSlots = func() map[string]slot {
	m := map[string]slot{"trace_id": slotTraceID, "span_id": slotSpanID, "trace_sampled": slotTraceSampled}
	for l := mesh.Label(0); l < mesh.NumLabels; l++ {
		m[l.String()] = slot(l)
	}
	return m
}()

// tagTable is tagSlots as a perfect hash table: a name is looked up for every
// tag of every entry.
var tagTable, tagMultiplier = func() (t [128]tagName, multiplier uint32) {
search:
	for multiplier = 0x9e3779b1; ; multiplier += 2 {
		t = [128]tagName{}
		for name, s := range tagSlots {
			place := &t[tagHash(name, multiplier)]
			if place.name != "" {
				continue search
			}
			*place = tagName{name, s}
		}
		return t, multiplier
	}
}()

type tagName struct {
	name string
	slot slot
}

// tagHash needs the last four bytes and the length: the labels of both sides end
// alike.
func tagHash(name string, multiplier uint32) uint32 {
	n := len(name)
	x := uint32(name[n-1]) | uint32(name[n-2])<<8 | uint32(name[n-3])<<16 | uint32(name[n-4])<<24
	return (x ^ uint32(n)) * multiplier >> 25
}

// tagSlot returns the slot of a custom tag with a meaning of its own, numSlots
// if the name has none.
func tagSlot(name string) slot {
	if len(name) >= 4 {
		if t := &tagTable[tagHash(name, tagMultiplier)]; t.name == name {
			return t.slot
		}
	}
	return numSlots
}
