package cache

import (
	"sync"
	"time"
)

// shard is a part of a Cache.
type shard[V any] struct {
	mu    sync.Mutex
	index map[uint64]*entry[V]
	ring  []*entry[V] // in no order
	hand  int         // where the next search for a victim begins
	bytes int64
	max   int64

	evictions, refused uint64

	_ [40]byte // so that two locks do not share a cache line
}

type entry[V any] struct {
	hash    uint64
	key     string
	value   V
	expires time.Time
	size    int64
	next    *entry[V] // of the same hash
	slot    int       // in the ring
	used    bool      // since the hand went by
}

func (s *shard[V]) get(h uint64, key []byte, now time.Time) (v V, o Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.find(h, key)
	if e == nil {
		return v, Miss
	}
	if !now.Before(e.expires) {
		s.remove(e)
		return v, Stale
	}
	e.used = true
	return e.value, Hit
}

func (s *shard[V]) find(h uint64, key []byte) *entry[V] {
	e := s.index[h]
	for e != nil && e.key != string(key) {
		e = e.next
	}
	return e
}

func (s *shard[V]) put(e *entry[V], now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.find(e.hash, []byte(e.key)); old != nil {
		s.remove(old)
	}
	if e.size > s.max {
		s.refused++
		return false
	}
	for s.bytes+e.size > s.max {
		s.evict(now)
	}
	if s.index == nil {
		s.index = map[uint64]*entry[V]{}
	}
	e.next = s.index[e.hash]
	s.index[e.hash] = e
	e.slot = len(s.ring)
	s.ring = append(s.ring, e)
	s.bytes += e.size
	return true
}

// evict removes the next entry that has expired or was not used since the hand
// last went by.
func (s *shard[V]) evict(now time.Time) {
	for {
		if s.hand >= len(s.ring) {
			s.hand = 0
		}
		e := s.ring[s.hand]
		expired := !now.Before(e.expires)
		if expired || !e.used {
			if !expired {
				s.evictions++
			}
			s.remove(e)
			return
		}
		e.used = false
		s.hand++
	}
}

func (s *shard[V]) remove(e *entry[V]) {
	at := s.index[e.hash]
	switch {
	case at != e:
		for at.next != e {
			at = at.next
		}
		at.next = e.next
	case e.next == nil:
		delete(s.index, e.hash)
	default:
		s.index[e.hash] = e.next
	}
	last := len(s.ring) - 1
	moved := s.ring[last]
	s.ring[e.slot], moved.slot = moved, e.slot
	s.ring[last] = nil
	s.ring = s.ring[:last]
	s.bytes -= e.size
}

func (s *shard[V]) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index, s.ring, s.hand, s.bytes = nil, nil, 0, 0
}

func (s *shard[V]) addTo(st *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Entries += len(s.ring)
	st.Bytes += s.bytes
	st.Evictions += s.evictions
	st.Refused += s.refused
}
