package quota

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/tallygate/tallygate/mesh"
)

const (
	numShards = 128
	// fewQuotas is how many quotas one charge may have without allocating.
	fewQuotas = 16
)

// local keeps states in this process.
//
// A charge of several quotas holds the shards of all of them, locked in
// ascending order, the overflow last: so it is one step for everybody else.
type local struct {
	register *register
	seed     [2]uint64
	shards   [numShards]shard
	overflow struct {
		sync.Mutex
		states []state // by number of the spec
	}
	overflowed atomic.Uint64 // charges
	lost       atomic.Uint64 // keys of a snapshot that found no room
}

type shard struct {
	sync.Mutex
	table
	_ [40]byte // no two on one cache line
}

func newLocal(r *register, maxBytes int64) *local {
	s := &local{register: r, seed: [2]uint64{rand.Uint64(), rand.Uint64()}}
	s.bound(maxBytes)
	return s
}

// bound sets how large the table may grow.
func (s *local) bound(maxBytes int64) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.Lock()
		sh.most = int(maxBytes / numShards / int64(slotBytes))
		sh.Unlock()
	}
}

// hash spreads ids by a secret of this process.
func (s *local) hash(id *mesh.QuotaID) uint64 {
	lo, hi := le64(id[:8]), le64(id[8:])
	h, l := bits.Mul64(lo^s.seed[0], hi^s.seed[1])
	h2, l2 := bits.Mul64(h^l^s.seed[0], s.seed[1]|1)
	return h2 ^ l2
}

func le64(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// shardOf must not use the bits that home does most.
func shardOf(h uint64) int { return int(h % numShards) }

// place is where the state of one quota is.
type place struct {
	hash uint64
	slot *slot // nil if it is in the overflow
	spec uint32
	was  state
	took bool
}

// hold finds or makes the place of q; its shard is locked. The pointer holds
// until the next key comes to the shard.
func (s *local) hold(now int64, q *mesh.Quota, l limit, h uint64) place {
	t := &s.shards[shardOf(h)].table
	p := place{hash: h, slot: t.find(&q.ID, h)}
	if p.slot != nil {
		p.was = p.slot.state
		return p
	}
	p.spec = s.register.spec(q.Name, l)
	if p.slot = t.add(&q.ID, h, now, s.hash); p.slot != nil {
		p.slot.spec = p.spec
		p.slot.length = uint8(copy(p.slot.text[:], q.Key))
	}
	return p
}

// overflowState is the state that all keys of a limit share that found no room.
// The overflow is locked.
func (s *local) overflowState(spec uint32) *state {
	for int(spec) >= len(s.overflow.states) {
		s.overflow.states = append(s.overflow.states, state{})
	}
	return &s.overflow.states[spec]
}

// spend charges q where p is and remembers what was there before.
func (s *local) spend(now int64, q *mesh.Quota, l *limit, p *place) (r mesh.QuotaResult) {
	if p.slot == nil {
		o := s.overflowState(p.spec)
		p.was = *o
		*o, r = apply(now, l, *o, q)
		r.Source = mesh.QuotaOverflow
		s.overflowed.Add(1)
		return r
	}
	p.slot.state, r = apply(now, l, p.slot.state, q)
	if r.Over {
		count(&p.slot.over)
	} else {
		count(&p.slot.charges)
		p.took = true
	}
	return r
}

// chargeOne charges one quota for itself.
func (s *local) chargeOne(now int64, q *mesh.Quota) mesh.QuotaResult {
	l, h := limitOf(q), s.hash(&q.ID)
	sh := &s.shards[shardOf(h)]
	sh.Lock()
	defer sh.Unlock()
	p := s.hold(now, q, l, h)
	if p.slot == nil {
		s.overflow.Lock()
		defer s.overflow.Unlock()
	}
	return s.spend(now, q, &l, &p)
}

func (s *local) charge(_ context.Context, now int64, quotas []mesh.Quota, results []mesh.QuotaResult, mode mesh.ChargeMode) bool {
	if mode == mesh.ChargeEach || len(quotas) == 1 {
		taken := true
		for i := range quotas {
			results[i] = s.chargeOne(now, &quotas[i])
			taken = taken && (!results[i].Over || quotas[i].Shadow)
		}
		return taken
	}
	return s.chargeAll(now, quotas, results)
}

// chargeAll takes from all quotas or from none.
func (s *local) chargeAll(now int64, quotas []mesh.Quota, results []mesh.QuotaResult) bool {
	var buf [fewQuotas]place
	places := buf[:0]
	var locked shardSet
	for i := range quotas {
		h := s.hash(&quotas[i].ID)
		places = append(places, place{hash: h})
		locked.add(shardOf(h))
	}
	for i := range s.each(&locked) {
		s.shards[i].Lock()
	}
	s.overflow.Lock()
	defer func() {
		s.overflow.Unlock()
		for i := range s.each(&locked) {
			s.shards[i].Unlock()
		}
	}()
	over := false
	for i := range quotas {
		q := &quotas[i]
		l := limitOf(q)
		places[i] = s.hold(now, q, l, places[i].hash)
		results[i] = s.spend(now, q, &l, &places[i])
		over = over || results[i].Over && !q.Shadow
	}
	if !over {
		return true
	}
	// Backwards, so that a key that comes twice is as it was.
	for i := len(quotas) - 1; i >= 0; i-- {
		s.restore(&quotas[i], &places[i])
	}
	for i := range quotas {
		if q := &quotas[i]; !results[i].Over {
			l := limitOf(q)
			source := results[i].Source
			_, results[i] = spend(now, &l, places[i].was, 0)
			results[i].Source = source
		}
	}
	return false
}

func (s *local) restore(q *mesh.Quota, p *place) {
	if p.slot == nil {
		*s.overflowState(p.spec) = p.was
		return
	}
	// It may have moved when a later key came.
	if now := s.shards[shardOf(p.hash)].find(&q.ID, p.hash); now != nil {
		now.state = p.was
		if p.took {
			now.charges--
		}
	}
}

// shardSet is a set of shards, in ascending order.
type shardSet [numShards / 64]uint64

func (set *shardSet) add(i int) { set[i/64] |= 1 << (i % 64) }

func (s *local) each(set *shardSet) func(func(int) bool) {
	return func(yield func(int) bool) {
		for w, word := range set {
			for ; word != 0; word &= word - 1 {
				if !yield(w*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}
