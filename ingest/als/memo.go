package als

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/tallygate/tallygate/mesh"
)

// memo remembers what one stream's evidence came to, by the exact evidence. It
// keeps two halves: what was used in the younger half stays, so a flood of
// values that are seen once cannot push out what is seen always.
//
// All memos share a budget of entries; once it is spent, each has to make do with
// memoFloor.
type memo[V any] struct {
	max        int // entries in a half
	budget     *atomic.Int64
	young, old map[uint64]*memory[V]
}

type memory[V any] struct {
	key   []byte
	value V
}

// memoFloor is how many entries a half may always have.
const memoFloor = 32

// maxMemoKey is the length in bytes above which evidence is not remembered.
const maxMemoKey = 4096

var memoSeed = maphash.MakeSeed()

func newMemo[V any](entries int, budget *atomic.Int64) memo[V] {
	return memo[V]{max: entries / 2, budget: budget, young: make(map[uint64]*memory[V])}
}

func (m *memo[V]) clear() {
	m.budget.Add(int64(len(m.young) + len(m.old)))
	clear(m.young)
	m.old = nil
}

// get returns what is remembered of the evidence. hash is for put.
func (m *memo[V]) get(key []byte) (value V, hash uint64, ok bool) {
	hash = maphash.Bytes(memoSeed, key)
	if e := m.young[hash]; e != nil {
		if string(e.key) == string(key) {
			return e.value, hash, true
		}
	} else if e := m.old[hash]; e != nil && string(e.key) == string(key) {
		m.keep(hash, e)
		return e.value, hash, true
	}
	return value, hash, false
}

func (m *memo[V]) put(hash uint64, key []byte, value V) {
	if len(key) <= maxMemoKey {
		m.keep(hash, &memory[V]{append([]byte(nil), key...), value})
	}
}

func (m *memo[V]) keep(hash uint64, e *memory[V]) {
	limit := m.max
	if m.budget.Load() <= 0 {
		limit = min(limit, memoFloor)
	}
	if len(m.young) >= limit {
		m.budget.Add(int64(len(m.old)))
		m.old, m.young = m.young, make(map[uint64]*memory[V])
	}
	if _, ok := m.young[hash]; !ok {
		m.budget.Add(-1)
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
	return key
}

func appendPiece(key []byte, mark byte, s string) []byte {
	n := len(key)
	key = slices.Grow(key, 4+len(s))[:n+4+len(s)]
	binary.LittleEndian.PutUint32(key[n:], uint32(mark)|uint32(len(s))<<8)
	copy(key[n+4:], s)
	return key
}
