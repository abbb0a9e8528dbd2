package spans

import (
	"hash/maphash"
	"sync/atomic"
)

// seen remembers the ids of the last spans, roughly 100,000, so that a second span
// with the id of another one gets an id of its own. It forgets early rather than
// confuse: an id that it knows was there.
type seen struct{ slots [1 << 17]atomic.Uint64 }

const seenWays = 4

// add reports whether key, which is not zero, was there already.
func (s *seen) add(key uint64) bool {
	base := key >> 8 % (uint64(len(s.slots)) / seenWays) * seenWays
	for i := range uint64(seenWays) {
		if s.slots[base+i].Load() == key {
			return true
		}
	}
	for i := range uint64(seenWays) {
		if s.slots[base+i].CompareAndSwap(0, key) {
			return false
		}
	}
	s.slots[base+key%seenWays].Store(key)
	return false
}

// seed is of this process alone: nobody else has to come to the id of a span that
// is repeated.
var seed = maphash.MakeSeed()

// distinct gives p an id of its own if there was a span with the same. kinds are
// apart, as Zipkin's client and server share one id.
func (s *seen) distinct(p *place, client bool, wire []byte) (repeated bool) {
	use := byte(7)
	if client {
		use = 8
	}
	if !s.add(newHash(use).words(p.trace[:]).words(p.span[:]).sum()) {
		return false
	}
	p.span = (newHash(9).words(p.span[:]) ^ hash(maphash.Bytes(seed, wire))).id()
	return true
}
