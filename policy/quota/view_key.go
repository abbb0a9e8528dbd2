package quota

import (
	"fmt"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// found is one state of a key: it has one for each algorithm and period of its
// quota.
type found struct {
	quota mesh.Quota
	spec  spec
	hash  uint64
}

// states returns where the states of a key can be.
func (l *Limiter) states(name, key string) []found {
	l.register.mu.RLock()
	defer l.register.mu.RUnlock()
	var list []found
	for _, p := range l.register.specs[2:] {
		if p.name != name {
			continue
		}
		q := mesh.Quota{Name: name, Key: key, Limit: p.n, Per: time.Duration(p.per), Burst: p.burst, Algorithm: p.algorithm}
		q.Identify(nil)
		list = append(list, found{q, p, l.local.hash(&q.ID)})
	}
	return list
}

// Get returns the states of a key: none if it is full or was never charged, more
// than one if the quota has several periods.
func (l *Limiter) Get(name, key string) ([]KeyView, error) {
	now := l.now()
	views := []KeyView{}
	seen := map[mesh.QuotaID]bool{}
	for _, f := range l.states(name, key) {
		if seen[f.quota.ID] { // another tier of the same key
			continue
		}
		k, lease, err := l.source.find(now, &f)
		if err != nil {
			return nil, err
		}
		if k.idle(now) {
			continue
		}
		seen[f.quota.ID] = true
		if k.spec == 0 {
			k.spec = l.register.spec(name, f.spec.limit)
		}
		v := l.keyView(now, &k)
		v.Key, v.Lease = key, lease
		views = append(views, v)
	}
	return views, nil
}

// Reset makes a key of a quota full again and returns how many states of it
// there were.
func (l *Limiter) Reset(name, key string) (int, error) {
	n := 0
	now := l.now()
	for _, f := range l.states(name, key) {
		was, err := l.source.reset(now, &f)
		if err != nil {
			return n, err
		}
		if was {
			n++
		}
	}
	return n, nil
}

// Explain says in sentences where a key is counted and what its next request
// would meet.
func (l *Limiter) Explain(name, key string) []string {
	places := l.states(name, key)
	if len(places) == 0 {
		return []string{fmt.Sprintf("No quota %q was charged here since the start: no policy names it, no request came, or another replica has them all.", name)}
	}
	lines := []string{"Counted by " + l.source.String() + "."}
	now := l.now()
	for _, f := range places {
		lines = append(lines, "Limit "+viewOf(&f.spec).String()+", state "+fmt.Sprintf("%x", f.quota.ID)+":")
		s, lease, err := l.source.find(now, &f)
		if err != nil {
			lines = append(lines, "  not known: "+err.Error())
			continue
		}
		_, r := spend(now, &f.spec.limit, s.state, 1)
		switch {
		case s.idle(now):
			lines = append(lines, fmt.Sprintf("  full: all %d are left; it was not charged lately.", f.spec.burst))
			continue
		case r.Over && lease != nil:
			lines = append(lines, "  nothing is left beyond what replicas hold ahead.")
		case r.Over:
			lines = append(lines, fmt.Sprintf("  a request that costs 1 is refused, and passes in %s.", r.RetryAfter.Round(time.Millisecond)))
		default:
			lines = append(lines, fmt.Sprintf("  a request that costs 1 passes and leaves %d of %d.", r.Remaining, f.spec.burst))
		}
		if lease != nil {
			lines = append(lines, fmt.Sprintf("  this replica holds %d of it ahead, for %s at most.", lease.Left, lease.Ends))
		}
		_, r = spend(now, &f.spec.limit, s.state, 0)
		lines = append(lines, fmt.Sprintf("  full again in %s; %d charges passed and %d were refused here since the key came.", r.Reset.Round(time.Millisecond), s.charges, s.over))
	}
	if n := l.local.overflowed.Load(); n > 0 {
		lines = append(lines, fmt.Sprintf("The table is or was full: %d charges of keys without room shared their quota's overflow limit; raise quota.local.max_size_mib.", n))
	}
	return lines
}

func (s *local) find(_ int64, f *found) (slot, *Lease, error) {
	sh := &s.shards[shardOf(f.hash)]
	sh.Lock()
	defer sh.Unlock()
	if k := sh.table.find(&f.quota.ID, f.hash); k != nil {
		return *k, nil, nil
	}
	return slot{}, nil, nil
}

func (s *local) reset(now int64, f *found) (bool, error) {
	sh := &s.shards[shardOf(f.hash)]
	sh.Lock()
	defer sh.Unlock()
	k := sh.table.find(&f.quota.ID, f.hash)
	if k == nil || k.idle(now) {
		return false, nil
	}
	k.state = state{}
	return true, nil
}

// refundOne gives the charge of q back.
func (s *local) refundOne(now int64, q *mesh.Quota) {
	l, h := limitOf(q), s.hash(&q.ID)
	sh := &s.shards[shardOf(h)]
	sh.Lock()
	defer sh.Unlock()
	if k := sh.table.find(&q.ID, h); k != nil {
		k.state = refund(now, &l, k.state, q.Cost)
	}
}

func (s *local) String() string {
	return "this process alone (quota.source local): the fleet's limit is this one times its replicas"
}

// size returns the keys and the bytes of the table.
func (s *local) size() (keys int, bytes int64) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.Lock()
		keys += sh.used
		bytes += int64(len(sh.slots)) * int64(slotBytes)
		sh.Unlock()
	}
	return keys, bytes
}

// topOf is the busiest keys of one quota.
type topOf struct {
	name   string
	keys   []KeyView
	others uint64 // charges of the rest
}

// topsEvery is how long the metrics' busiest keys are kept: finding them reads
// the whole table.
const topsEvery = 10 * time.Second

// tops returns the busiest keys for the metrics.
func (l *Limiter) tops() []topOf {
	most := l.cfg.Load().TopKeys
	if most == 0 {
		return nil
	}
	l.top.Lock()
	defer l.top.Unlock()
	now := l.now()
	if l.top.list != nil && now-l.top.at < int64(topsEvery) && now >= l.top.at {
		return l.top.list
	}
	heaps, others := map[string]*ranking{}, map[string]uint64{}
	l.register.mu.RLock()
	specs := l.register.specs
	l.register.mu.RUnlock()
	l.source.scan(now, func(k *slot) {
		p := &specs[min(int(k.spec), len(specs)-1)]
		h := heaps[p.name]
		if h == nil {
			if len(heaps) >= maxNames {
				return
			}
			h = &ranking{}
			heaps[p.name] = h
		}
		n := uint64(k.charges) + uint64(k.over)
		others[p.name] += n
		h.offer(ranked{float64(n), *k}, most)
	})
	l.top.list, l.top.at = []topOf{}, now
	for name, h := range heaps {
		t := topOf{name: name, others: others[name]}
		shown := map[string]bool{otherName: true}
		for i := range *h {
			v := l.keyView(now, &(*h)[i].slot)
			v.Charges += v.Over
			if shown[v.Key] { // two keys with the same beginning
				continue
			}
			shown[v.Key] = true
			t.others -= v.Charges
			t.keys = append(t.keys, v)
		}
		l.top.list = append(l.top.list, t)
	}
	return l.top.list
}
