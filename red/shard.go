package red

import "sync"

// numShards divides a view. At 10,000 series a shard has 10, so that a snapshot
// holds its lock for a few microseconds.
const (
	shardBits = 10
	numShards = 1 << shardBits
)

// shard is a part of a view: an open-addressing table from keys to series.
type shard struct {
	mu    sync.Mutex
	slots []slot // a power of two, at most three quarters full; linear probing
	list  []*series

	counted    uint64   // entries, if the view is the first of its group
	overflowed uint64   // entries in an overflow series
	capped     []uint64 // entries by label of the schema; nil until a cap strikes

	aliases []alias // nil until a cap strikes

	_ [24]byte // two shards share no cache line
}

type slot struct {
	hash uint64
	s    *series
}

// shardOf returns the shard of a hash; the slot is taken from its other end.
func (v *view) shardOf(hash uint64) *shard { return &v.shards[hash>>(64-shardBits)] }

func (sh *shard) find(hash uint64, k *key) *series {
	if len(sh.slots) == 0 {
		return nil
	}
	m := uint64(len(sh.slots) - 1)
	for i := hash & m; sh.slots[i].s != nil; i = (i + 1) & m {
		if sh.slots[i].hash == hash && sh.slots[i].s.key == *k {
			return sh.slots[i].s
		}
	}
	return nil
}

// insert adds s, whose key the shard must not have.
func (sh *shard) insert(s *series) {
	if 4*(len(sh.list)+1) > 3*len(sh.slots) {
		old := sh.slots
		sh.slots = make([]slot, max(8, 2*len(old)))
		for _, o := range old {
			if o.s != nil {
				sh.place(o)
			}
		}
	}
	s.pos = len(sh.list)
	sh.list = append(sh.list, s)
	sh.place(slot{s.hash, s})
}

func (sh *shard) place(o slot) {
	m := uint64(len(sh.slots) - 1)
	i := o.hash & m
	for sh.slots[i].s != nil {
		i = (i + 1) & m
	}
	sh.slots[i] = o
}

// remove takes s out.
func (sh *shard) remove(s *series) {
	last := len(sh.list) - 1
	sh.list[s.pos] = sh.list[last]
	sh.list[s.pos].pos = s.pos
	sh.list[last] = nil
	sh.list = sh.list[:last]

	m := uint64(len(sh.slots) - 1)
	hole := s.hash & m
	for sh.slots[hole].s != s {
		hole = (hole + 1) & m
	}
	// Move back what probed past the hole.
	for i := (hole + 1) & m; sh.slots[i].s != nil; i = (i + 1) & m {
		if home := sh.slots[i].hash & m; (i-home)&m >= (i-hole)&m {
			sh.slots[hole] = sh.slots[i]
			hole = i
		}
	}
	sh.slots[hole] = slot{}
}
