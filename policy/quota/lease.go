package quota

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// tokens are some that were taken from Redis in one go.
type tokens struct {
	left    uint64
	size    uint64
	expires int64
	end     int64 // of their window, Redis' microseconds; 0 for GCRA
}

// lease is what this process knows of a key that a fleet shares. Its shard's
// lock is held.
type lease struct {
	slot     // as Redis last said: all that any replica has taken counts as used
	quota    limit
	cur      tokens // spent first
	next     tokens
	asking   bool  // a refill is on its way
	listed   bool  // the tick looks at it
	dryUntil int64 // until then there is nothing to have, whoever asks
	usedAt   int64
	saidAt   int64   // when Redis was asked last
	asked    uint64  // tokens, also in vain, since the last tick
	demand   float64 // tokens in the maximum age of a lease, as observed
}

// splits reports whether a limit is large enough to be taken from ahead: a
// lease's time must bring some tokens, and the burst must hold what comes
// between two ticks.
func splits(l *limit, age time.Duration) bool {
	r := l.rate(age)
	if l.algorithm == mesh.FixedWindow {
		return l.n >= 40 && r >= 1
	}
	return r >= 4 && l.burst >= max(8, r)
}

// want is how many tokens to take ahead: the demand with room for its chance, and
// not so much that others starve.
func (k *lease) want(cost uint64) uint64 {
	w := k.demand + 3*math.Sqrt(k.demand) + 1
	return max(cost, min(uint64(w), max(1, k.quota.burst/4)))
}

// expire takes what is too old out. It must be given back.
func (k *lease) expire(now int64) (old [2]tokens) {
	if k.cur.left > 0 && k.cur.expires <= now {
		old[0], k.cur = k.cur, tokens{}
	}
	if k.next.left > 0 && k.next.expires <= now {
		old[1], k.next = k.next, tokens{}
	}
	if k.cur.left == 0 && k.next.left > 0 {
		k.cur, k.next = k.next, tokens{}
	}
	return old
}

// recheck is how long a refusal is believed at most: others may have given
// something back.
const recheck = time.Second

// dry reports whether asking Redis for cost is in vain: by what it said last, or
// because it has just been emptied.
func (k *lease) dry(now int64, cost uint64) bool {
	if k.dryUntil > now {
		return true
	}
	if now-k.saidAt > int64(recheck) {
		return false
	}
	_, r := spend(now, &k.quota, k.state, cost)
	return r.Over
}

func (k *lease) left() uint64 { return k.cur.left + k.next.left }

// take spends cost, if there is as much.
func (k *lease) take(cost uint64) bool {
	if k.left() < cost {
		return false
	}
	first := min(cost, k.cur.left)
	k.cur.left -= first
	k.next.left -= cost - first
	if k.cur.left == 0 && k.next.left > 0 {
		k.cur, k.next = k.next, tokens{}
	}
	return true
}

// add puts tokens that were just taken behind what there is.
func (k *lease) add(t tokens) {
	switch {
	case t.left == 0:
	case k.cur.left == 0:
		k.cur = t
	case k.next.left == 0:
		k.next = t
	default: // as old as the older, so that neither grows too old
		k.next.left += t.left
		k.next.size += t.left
		k.next.expires = min(k.next.expires, t.expires)
	}
}

// learn takes over what Redis said. sent is from before it was asked.
func (k *lease) learn(sent int64, r *reply) {
	k.saidAt = sent
	k.until = sent + int64(r.reset)
	k.n = 0
	if k.quota.algorithm == mesh.FixedWindow {
		k.n = k.quota.n - min(r.left, k.quota.n)
	}
}

// result is what to tell a caller: what Redis has left and what lies here.
func (k *lease) result(now int64, cost uint64, over bool) mesh.QuotaResult {
	_, r := spend(now, &k.quota, k.state, 0)
	r.Over, r.RetryAfter, r.Source = false, 0, mesh.QuotaLease
	r.Remaining = min(r.Remaining+k.left(), k.quota.burst)
	if over {
		_, want := spend(now, &k.quota, k.state, cost)
		r.Over, r.RetryAfter = true, want.RetryAfter
		if wait := time.Duration(k.dryUntil - now); r.RetryAfter != mesh.Never && r.RetryAfter < wait {
			r.RetryAfter = wait
		}
		if r.RetryAfter == 0 {
			r.RetryAfter = time.Millisecond
		}
		r.Remaining = 0
	}
	return r
}

// idle reports whether nothing is lost by forgetting k.
func (k *lease) idle(now int64, age time.Duration) bool {
	return k.left() == 0 && !k.asking && !k.listed && k.dryUntil <= now && now-k.usedAt > int64(10*age)
}

// leaseShards × leasesPerShard is how many keys can have leases; what comes
// beyond asks Redis each time.
const (
	leaseShards    = 64
	leasesPerShard = 2048
)

type leaseShard struct {
	sync.Mutex
	leases map[mesh.QuotaID]*lease
	active []*lease // that the tick looks at
}

// hold returns the lease of q, nil if there is no room. The shard is locked.
func (s *leaseShard) hold(q *mesh.Quota, l *limit, spec func() uint32, now int64, age time.Duration) *lease {
	if k := s.leases[q.ID]; k != nil {
		k.quota = *l // it may have changed
		return k
	}
	if len(s.leases) >= leasesPerShard {
		tries := 0
		for id, k := range s.leases { // in random order
			if k.idle(now, age) {
				delete(s.leases, id)
				break
			}
			if tries++; tries == 8 {
				return nil
			}
		}
	}
	k := &lease{quota: *l}
	k.id, k.spec = q.ID, spec()
	k.length = uint8(copy(k.text[:], q.Key))
	s.leases[q.ID] = k
	return k
}

// use notes demand.
func (s *leaseShard) use(k *lease, now int64, cost uint64) {
	k.usedAt = now
	k.asked += cost
	if !k.listed {
		k.listed = true
		s.active = append(s.active, k)
	}
}

func leaseShardOf(id *mesh.QuotaID) int { return int(id[1] % leaseShards) }

// leaseSet is a set of shards, in ascending order.
type leaseSet uint64

func (set *leaseSet) add(i int) { *set |= 1 << i }

func (set leaseSet) each(yield func(int) bool) {
	for ; set != 0; set &= set - 1 {
		if !yield(bits.TrailingZeros64(uint64(set))) {
			return
		}
	}
}

// tokenBooks are what became of the tokens that Redis gave: granted = spent +
// returned + expired + held.
type tokenBooks struct {
	granted, spent, returned, expired atomic.Uint64
}
