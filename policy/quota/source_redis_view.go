package quota

import (
	"context"
	"fmt"
	"time"
)

// held is what leases hold.
func (s *shared) held() (keys int, left uint64) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.Lock()
		keys += len(sh.leases)
		for _, k := range sh.active {
			left += k.left()
		}
		sh.Unlock()
	}
	return keys, left
}

// scan calls f with every key that this process knows of, as Redis last said, and
// with those that were counted here while Redis could not be asked.
func (s *shared) scan(now int64, f func(*slot)) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.Lock()
		for _, k := range sh.leases {
			if !k.slot.idle(now) {
				f(&k.slot)
			}
		}
		sh.Unlock()
	}
	s.local.scan(now, f)
}

// patience is how long a person's question may take.
const patience = time.Second

// find asks Redis for the state of a key.
func (s *shared) find(now int64, f *found) (slot, *Lease, error) {
	var k slot
	var l *Lease
	sh := &s.shards[leaseShardOf(&f.quota.ID)]
	sh.Lock()
	if lease := sh.leases[f.quota.ID]; lease != nil {
		k = lease.slot
		if lease.left() > 0 {
			l = &Lease{Left: lease.left(), Ends: time.Duration(max(lease.cur.expires, lease.next.expires) - now).Round(time.Millisecond).String()}
		}
	}
	sh.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r := s.client.run(ctx, []item{{op: opTake, id: f.quota.ID, limit: f.spec.limit}})[0]
	if r.err != nil {
		return k, l, fmt.Errorf("asking redis: %w", r.err)
	}
	known := lease{quota: f.spec.limit}
	known.learn(now, &r)
	k.state = known.state
	return k, l, nil
}

// reset makes Redis and this process forget a key; leases of other replicas end
// within their maximum age.
func (s *shared) reset(_ int64, f *found) (bool, error) {
	sh := &s.shards[leaseShardOf(&f.quota.ID)]
	sh.Lock()
	if k := sh.leases[f.quota.ID]; k != nil {
		s.books.expired.Add(k.left())
		k.cur, k.next, k.dryUntil, k.state = tokens{}, tokens{}, 0, state{}
	}
	sh.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	before := s.client.run(ctx, []item{
		{op: opTake, id: f.quota.ID, limit: f.spec.limit},
		{op: opForget, id: f.quota.ID, limit: f.spec.limit},
	})
	if before[0].err != nil {
		return false, fmt.Errorf("asking redis: %w", before[0].err)
	}
	return before[0].left < f.spec.burst, nil
}

func (s *shared) String() string {
	return fmt.Sprintf("Redis (%s), for all replicas; tokens taken ahead are at most %s old", s.cfg.Mode, s.cfg.LeaseMaxAge)
}
