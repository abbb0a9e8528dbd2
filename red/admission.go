package red

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"github.com/tallygate/tallygate/mesh"
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

// alias says as which series the entries of a key count that the caps do not
// admit. Aliases are found by a part of their hash, so that there is a fixed
// number of them, and live until the next sweep.
type alias struct {
	hash       uint64
	key        key
	target     key
	targetHash uint64
	capped     uint64 // bit set by place in the schema
	overflow   bool
}

const aliasesPerShard = 64

// alias returns the alias of k, or nil.
func (sh *shard) alias(hash uint64, k *key) *alias {
	if sh.aliases == nil {
		return nil
	}
	if a := &sh.aliases[hash%aliasesPerShard]; a.hash == hash && a.key == *k {
		return a
	}
	return nil
}

func (v *view) hash(k *key) uint64 { return maphash.Comparable(v.seed, *k) }

// observe counts e under k; books is 1 if it counts in the table's book here.
func (v *view) observe(k *key, e *mesh.Entry, now int64, books uint64) {
	hash := v.hash(k)
	sh := v.shardOf(hash)
	sh.mu.Lock()
	s := sh.find(hash, k)
	if s == nil {
		var a alias
		if known := sh.alias(hash, k); known != nil {
			a = *known
		} else {
			a = alias{hash: hash, key: *k, target: *k, targetHash: hash}
		}
		sh.mu.Unlock()
		v.observeNew(&a, e, now, books)
		return
	}
	v.add(s, e, now)
	sh.counted += books
	sh.mu.Unlock()
}

// observeNew counts e under a, for whose key there is no series.
func (v *view) observeNew(a *alias, e *mesh.Entry, now int64, books uint64) {
	for {
		sh := v.shardOf(a.targetHash)
		sh.mu.Lock()
		if s := sh.find(a.targetHash, &a.target); s != nil {
			v.add(s, e, now)
			sh.counted += books
			if a.overflow {
				sh.overflowed++
			}
			if a.capped != 0 {
				if sh.capped == nil {
					sh.capped = make([]uint64, len(v.schema.labels))
				}
				for c := a.capped; c != 0; c &= c - 1 {
					sh.capped[bits.TrailingZeros64(c)]++
				}
			}
			sh.mu.Unlock()
			return
		}
		sh.mu.Unlock()
		v.admit(a, now)
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

// capLabels makes those labels of k overflow whose value is new and of which
// the view has as many values as it may, and returns them by their place in the
// schema.
func (v *view) capLabels(k *key) (capped uint64) {
	if v.admission.custom > 0 && k.custom != (mesh.Custom{}) && strings.Count(k.custom.Value(), "\x00") != v.admission.custom {
		// Of a reload: equal label sets must have equal keys.
		k.custom = unique.Make(joinCustom(splitCustom(k.custom.Value(), v.admission.custom)))
	}
	var labels labelSet
	for i, l := range v.schema.labels {
		if l == labelID(mesh.LabelReporter) || l == labelID(mesh.LabelRequestProtocol) {
			continue
		}
		values := v.admission.values[i]
		if len(values) < v.limits.labelValues {
			continue
		}
		value := labelValue(k, l)
		if _, ok := values[value]; !ok && value != Overflow {
			labels |= 1 << l
			capped |= 1 << i
		}
	}
	if labels != 0 {
		setOverflow(k, labels)
	}
	return capped
}

// overflowKey returns the key of the overflow series that counts k.
func (v *view) overflowKey(k *key) key {
	o := *k
	keep := labelSet(1)<<mesh.LabelReporter | labelSet(1)<<mesh.LabelRequestProtocol
	setOverflow(&o, v.schema.set&^keep)
	return o
}

// setOverflow makes the labels of k overflow.
func setOverflow(k *key, labels labelSet) {
	if some := labels & sourceLabels; some != 0 {
		w := workload(k.source)
		some.each(func(l labelID) { *sourceField(&w, l) = Overflow })
		k.source = unique.Make(w)
	}
	if some := labels & destinationLabels; some != 0 {
		w := workload(k.destination)
		some.each(func(l labelID) { *destinationField(&w, l) = Overflow })
		k.destination = unique.Make(w)
	}
	if some := labels & serviceLabels; some != 0 {
		s := service(k.service)
		some.each(func(l labelID) { *serviceField(&s, l) = Overflow })
		k.service = unique.Make(s)
	}
	if some := labels >> labelCustom0 << labelCustom0; some != 0 {
		values := splitCustom(k.custom.Value(), strings.Count(k.custom.Value(), "\x00"))
		some.each(func(l labelID) { values[l-labelCustom0] = Overflow })
		k.custom = unique.Make(joinCustom(values))
	}
	if labels.has(labelID(mesh.LabelResponseCode)) || labels.has(labelSpanName) {
		k.setCode(codeOverflow)
	}
	if labels.has(labelID(mesh.LabelGRPCResponseStatus)) {
		k.setStatus(statusOverflow)
	}
	if labels.has(labelID(mesh.LabelResponseFlags)) {
		k.flags = flagsOverflow
	}
	if labels.has(labelID(mesh.LabelConnectionSecurityPolicy)) || labels.has(labelSpanStatus) {
		k.setSecurity(securityOverflow)
	}
	if labels.has(labelSpanService) {
		k.source = unique.Make(mesh.Workload{CanonicalService: Overflow})
	}
}
