package tap

import (
	"math/rand/v2"
	"sync/atomic"
	"unsafe"
)

// edgeMemo remembers something about edges. It is of a fixed size: what
// finds no room takes another's, and reading takes no lock.
type edgeMemo[V comparable] struct {
	slots [256]atomic.Pointer[edgeFact[V]]
}

type edgeFact[V comparable] struct {
	edge edge
	fact V
}

// ways is in how many slots an edge may be.
const ways = 4

func (m *edgeMemo[V]) get(k edge) (v V, ok bool) {
	at := k.slot()
	for i := range uint8(ways) {
		if f := m.slots[at+i].Load(); f != nil && f.edge == k {
			return f.fact, true
		}
	}
	return v, false
}

func (m *edgeMemo[V]) put(k edge, v V) {
	at := k.slot()
	for i := range uint8(ways) {
		if f := m.slots[at+i].Load(); f == nil || f.edge == k {
			m.slots[at+i].Store(&edgeFact[V]{k, v})
			return
		}
	}
	m.slots[at+uint8(rand.IntN(ways))].Store(&edgeFact[V]{k, v})
}

// slot hashes the addresses that the handles are: canonical values do not move
// while a handle of them is there.
func (k *edge) slot() uint8 {
	const odd = 0x9e3779b97f4a7c15
	word := func(p unsafe.Pointer) uint64 { return uint64(*(*uintptr)(p)) }
	h := word(unsafe.Pointer(&k.source))
	h = h*odd ^ word(unsafe.Pointer(&k.destination))
	h = h*odd ^ word(unsafe.Pointer(&k.service))
	return uint8(((h ^ uint64(k.reporter)) * odd) >> 56)
}
