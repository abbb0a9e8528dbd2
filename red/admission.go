package red

import (
	"sync"
	"sync/atomic"
	"time"
)

// admission decides which series a view may have. Its lock is taken before that
// of a shard.
type admission struct {
	mu      sync.Mutex
	series  int                // without the overflow series
	values  []map[string]int32 // by label of the schema: series that have the value
	custom  int                // custom labels of the table
	created uint64
	expired uint64
}

func (a *admission) init(labels, custom int) {
	a.custom = custom
	a.values = make([]map[string]int32, labels)
	for i := range a.values {
		a.values[i] = make(map[string]int32)
	}
}

// admit sets the target of a and makes the series if there is none.
func (v *view) admit(a *alias, now int64) {
	v.admission.mu.Lock()
	defer v.admission.mu.Unlock()
	a.target = a.key
	a.capped = v.capLabels(&a.target)
	a.overflow = false
	a.targetHash = v.hash(&a.target)
	if !v.has(a) && v.admission.series >= v.limits.series {
		a.target = v.overflowKey(&a.key)
		a.targetHash = v.hash(&a.target)
		a.capped, a.overflow = 0, true
	}
	if !v.has(a) {
		s := v.newSeries()
		s.Series = Series{ID: lastID.Add(1), Created: time.Unix(0, now), schema: v.schema, key: a.target}
		s.hash = a.targetHash
		s.seen = now
		v.admission.created++
		if a.overflow {
			s.overflow = true
		} else {
			v.admission.series++
			for i, l := range v.schema.labels {
				v.admission.values[i][labelValue(&s.key, l)]++
			}
		}
		sh := v.shardOf(s.hash)
		sh.mu.Lock()
		sh.insert(s)
		sh.mu.Unlock()
	}
	if a.target != a.key {
		sh := v.shardOf(a.hash)
		sh.mu.Lock()
		if sh.aliases == nil {
			sh.aliases = make([]alias, aliasesPerShard)
		}
		sh.aliases[a.hash%aliasesPerShard] = *a
		sh.mu.Unlock()
	}
}

// lastID is the ID of the youngest Series in the process.
var lastID atomic.Uint64

// has reports whether the view has the target of a.
func (v *view) has(a *alias) bool {
	sh := v.shardOf(a.targetHash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.find(a.targetHash, &a.target) != nil
}
