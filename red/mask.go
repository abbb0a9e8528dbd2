package red

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"unique"
)

// mask takes the excluded fields out of canonical values.
type mask[T comparable] struct {
	mode    maskMode
	apply   func(T) T
	unknown unique.Handle[T] // stands for the zero Handle
	memo    memo[T]
}

type maskMode uint8

const (
	maskAll  maskMode = iota // every field is excluded
	maskSome                 // some are
	maskNone                 // none is
)

func (m *mask[T]) init(labels, of labelSet, unknown T, apply func(T) T) {
	m.unknown = unique.Make(unknown)
	m.apply = apply
	switch labels & of {
	case 0:
		m.mode = maskAll
	case of:
		m.mode = maskNone
	default:
		m.mode = maskSome
	}
	m.memo.forget()
}

func (m *mask[T]) of(h unique.Handle[T]) unique.Handle[T] {
	if m.mode == maskAll {
		return unique.Handle[T]{}
	}
	if h == (unique.Handle[T]{}) {
		h = m.unknown
	}
	if m.mode == maskNone {
		return h
	}
	if masked, ok := m.memo.get(h); ok {
		return masked
	}
	masked := unique.Make(m.apply(h.Value()))
	m.memo.put(h, masked)
	return masked
}

// memo remembers what was made of canonical values. Reading takes no lock. It
// is emptied when it is full, and what is still used comes back.
type memo[T comparable] struct {
	mu    sync.Mutex // of put and forget
	table atomic.Pointer[memoTable[T]]
}

type memoTable[T comparable] struct {
	seed  maphash.Seed
	slots []atomic.Pointer[memoPair[T]] // a power of two; linear probing; never full
	size  int
}

type memoPair[T comparable] struct{ from, to unique.Handle[T] }

const maxMemo = 1 << 15

func (m *memo[T]) get(from unique.Handle[T]) (to unique.Handle[T], ok bool) {
	if p := m.table.Load().find(from).Load(); p != nil {
		return p.to, true
	}
	return to, false
}

func (m *memo[T]) put(from, to unique.Handle[T]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.table.Load()
	if 4*(t.size+1) > 3*len(t.slots) {
		grown := newMemoTable[T](2 * len(t.slots))
		for i := range t.slots {
			if p := t.slots[i].Load(); p != nil && t.size < maxMemo {
				grown.find(p.from).Store(p)
				grown.size++
			}
		}
		t = grown
		m.table.Store(t)
	}
	if slot := t.find(from); slot.Load() == nil {
		slot.Store(&memoPair[T]{from, to})
		t.size++
	}
}

func (m *memo[T]) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.table.Load(); t == nil || t.size > 0 {
		m.table.Store(newMemoTable[T](16))
	}
}

func newMemoTable[T comparable](n int) *memoTable[T] {
	if n > 2*maxMemo {
		n = 16
	}
	return &memoTable[T]{seed: maphash.MakeSeed(), slots: make([]atomic.Pointer[memoPair[T]], n)}
}

// find returns the slot of from, or the empty one where it belongs.
func (t *memoTable[T]) find(from unique.Handle[T]) *atomic.Pointer[memoPair[T]] {
	m := uint64(len(t.slots) - 1)
	for i := maphash.Comparable(t.seed, from) & m; ; i = (i + 1) & m {
		if p := t.slots[i].Load(); p == nil || p.from == from {
			return &t.slots[i]
		}
	}
}
