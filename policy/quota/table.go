package quota

import (
	"math/bits"
	"time"
	"unsafe"

	"github.com/tallygate/tallygate/mesh"
)

// slot is what is kept of one key: no pointers, so that a million of them cost
// the garbage collector nothing.
type slot struct {
	id mesh.QuotaID
	state
	spec    uint32 // in the register, from 1; 0 marks an empty slot
	charges uint32 // that passed since the key came; stays at the top
	over    uint32
	length  uint8
	text    [43]byte // beginning of the key, for people
}

const slotBytes = int(unsafe.Sizeof(slot{}))

func (s *slot) key() string { return string(s.text[:s.length]) }

// count adds one without ever wrapping.
func count(n *uint32) {
	if *n < 1<<32-1 {
		*n++
	}
}

const (
	minSlots = 16
	// sweepAfter is how long a full table waits before it looks again for keys to
	// let go.
	sweepAfter = 100 * time.Millisecond
)

// table finds slots by open addressing. It lets go only of keys that are idle:
// forgetting them forgives nothing.
type table struct {
	slots   []slot
	used    int   // not empty
	most    int   // slots, by the budget
	sweptAt int64 // when a full table was last looked through
}

// home is where the search for a key begins. h is its seeded hash: nobody can
// choose keys that meet.
func (t *table) home(h uint64) int {
	hi, _ := bits.Mul64(h, uint64(len(t.slots)))
	return int(hi)
}

// find returns the slot of a key, nil if it has none.
func (t *table) find(id *mesh.QuotaID, h uint64) *slot {
	if len(t.slots) == 0 {
		return nil
	}
	for i := t.home(h); ; {
		s := &t.slots[i]
		if s.spec == 0 {
			return nil
		}
		if s.id == *id {
			return s
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

// add returns a free slot for a key that has none, or nil if the table is full.
// hash is for moving the others.
func (t *table) add(id *mesh.QuotaID, h uint64, now int64, hash func(*mesh.QuotaID) uint64) *slot {
	for {
		if len(t.slots) > 0 {
			for i := t.home(h); ; {
				s := &t.slots[i]
				if s.spec != 0 && s.idle(now) {
					*s = slot{id: *id} // its place in the row stays taken
					return s
				}
				if s.spec == 0 {
					if (t.used+1)*5 > len(t.slots)*4 {
						break
					}
					t.used++
					*s = slot{id: *id}
					return s
				}
				if i++; i == len(t.slots) {
					i = 0
				}
			}
		}
		if !t.makeRoom(now, hash) {
			return nil
		}
	}
}

// makeRoom lets go of idle keys, and grows if that is not enough.
func (t *table) makeRoom(now int64, hash func(*mesh.QuotaID) uint64) bool {
	size := max(minSlots, len(t.slots))
	if len(t.slots) > 0 {
		full := len(t.slots)+len(t.slots)/2 > t.most
		if full && now-t.sweptAt < int64(sweepAfter) && now >= t.sweptAt {
			return false
		}
		t.sweptAt = now
		live := 0
		for i := range t.slots {
			if s := &t.slots[i]; s.spec != 0 && !s.idle(now) {
				live++
			}
		}
		switch {
		case live*5 <= len(t.slots)*3:
		case !full:
			size += size / 2
		case live*20 > len(t.slots)*15:
			return false
		}
	} else if size > t.most {
		return false
	}
	old := t.slots
	t.slots, t.used = make([]slot, size), 0
	for i := range old {
		s := &old[i]
		if s.spec == 0 || s.idle(now) {
			continue
		}
		at := t.home(hash(&s.id))
		for t.slots[at].spec != 0 {
			if at++; at == size {
				at = 0
			}
		}
		t.slots[at] = *s
		t.used++
	}
	return true
}
