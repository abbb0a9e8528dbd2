package red

import (
	"hash/maphash"
	"math/bits"

	"github.com/tallygate/tallygate/mesh"
)

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

const aliasesPerShard = 8

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
