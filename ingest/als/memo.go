package als

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"github.com/tallygate/tallygate/mesh"
)

// memo remembers the identities that one stream's entries came to, by the exact
// evidence. It keeps two halves: what was used in the younger half stays, so a
// flood of values that are seen once cannot push out what is seen always.
type memo struct {
	max        int
	young, old map[uint64]*memory
}

type memory struct {
	key []byte
	res *resolved
}

// maxMemoKey is the length in bytes above which evidence is not remembered.
const maxMemoKey = 4096

var memoSeed = maphash.MakeSeed()

func newMemo(entries int) memo { return memo{max: entries / 2, young: make(map[uint64]*memory)} }

func (m *memo) clear() {
	clear(m.young)
	m.old = nil
}

// get returns what is remembered of the evidence, nil if nothing is.
func (m *memo) get(hash uint64, key []byte) *resolved {
	if e := m.young[hash]; e != nil {
		if string(e.key) == string(key) {
			return e.res
		}
		return nil
	}
	if e := m.old[hash]; e != nil && string(e.key) == string(key) {
		m.keep(hash, e)
		return e.res
	}
	return nil
}

func (m *memo) put(hash uint64, key []byte, res *resolved) {
	if len(key) <= maxMemoKey {
		m.keep(hash, &memory{append([]byte(nil), key...), res})
	}
}

func (m *memo) keep(hash uint64, e *memory) {
	if len(m.young) >= m.max {
		m.old, m.young = m.young, make(map[uint64]*memory)
	}
	m.young[hash] = e
}

// appendKey appends all evidence about the identities of an entry: two entries
// with equal keys have equal identities, until the registry or the
// configuration changes.
func (x *lookups) appendKey(key []byte, r *record, reporter mesh.Reporter, authority bool) []byte {
	key = append(key, byte(reporter))
	set := r.set & relevant[reporter]
	if authority {
		set |= r.set & slotAuthority.bit()
	}
	for set != 0 {
		s := bits.TrailingZeros64(uint64(set))
		set &= set - 1
		key = appendPiece(key, byte(s), r.strings[s])
	}
	for end := range x.hasPeer {
		if x.hasPeer[end] {
			w := &x.peer[end]
			mark := byte(numSlots) + byte(end)
			key = appendPiece(key, mark, w.Name)
			key = appendPiece(key, mark, w.Namespace)
			key = appendPiece(key, mark, w.CanonicalService)
			key = appendPiece(key, mark, w.CanonicalRevision)
			key = appendPiece(key, mark, w.Principal)
			key = appendPiece(key, mark, w.App)
			key = appendPiece(key, mark, w.Version)
			key = appendPiece(key, mark, w.Cluster)
		}
		if k := x.byAddress[end]; k != nil {
			key = append(key, byte(numSlots)+2+byte(end))
			key = binary.LittleEndian.AppendUint32(key, k.id)
		}
	}
	if x.badMetadata {
		key = append(key, byte(numSlots)+4)
	}
	for _, v := range r.custom {
		key = appendPiece(key, byte(numSlots)+5, v)
	}
	return key
}

func appendPiece(key []byte, mark byte, s string) []byte {
	key = append(key, mark, byte(len(s)), byte(len(s)>>8), byte(len(s)>>16))
	return append(key, s...)
}
