package cache

import (
	"hash/maphash"
	"math/bits"
	"time"
	"unsafe"
)

const (
	maxShards = 256
	// minShard is the least share of a shard in bytes: it must hold a large
	// entry beside others.
	minShard = 256 << 10
)

// Cache maps keys to values. All methods may be called at once.
type Cache[V any] struct {
	shards []shard[V] // a power of two
	hash   func([]byte) uint64
}

// Outcome says how a look-up ended.
type Outcome uint8

const (
	Miss  Outcome = iota // there is no such key
	Stale                // there was one, but its time is over
	Hit
)

// Stats are the figures of a Cache since it was made.
type Stats struct {
	Entries   int    // now, with those that have expired and were not met since
	Bytes     int64  // now
	Evictions uint64 // entries that made room for others before they expired
	Refused   uint64 // entries larger than a shard's share
}

// New returns a Cache of at most maxBytes bytes: keys, what Put is told of the
// values, and the bookkeeping.
func New[V any](maxBytes int64) *Cache[V] {
	seed := maphash.MakeSeed()
	return newCache[V](maxBytes, func(b []byte) uint64 { return maphash.Bytes(seed, b) })
}

func newCache[V any](maxBytes int64, hash func([]byte) uint64) *Cache[V] {
	n := 1
	if share := maxBytes / minShard; share > 1 {
		n = min(maxShards, 1<<(bits.Len64(uint64(share))-1))
	}
	c := &Cache[V]{shards: make([]shard[V], n), hash: hash}
	for i := range c.shards {
		c.shards[i].max = maxBytes / int64(n)
	}
	return c
}

// overhead is what an entry takes beside its key and value: itself, its place
// in the ring and in the index, which is at least seven sixteenths full.
func overhead[V any]() int64 {
	var e entry[V]
	return int64(unsafe.Sizeof(e)) + 8 + 17*16/7
}

// Get returns the value of key if it has not expired at now.
func (c *Cache[V]) Get(key []byte, now time.Time) (V, Outcome) {
	h := c.hash(key)
	return c.shard(h).get(h, key, now)
}

// Put stores v, of which size bytes are beside its own fixed size, until
// expires. It takes the place of an older value; it reports false if the entry
// is too large for the cache.
func (c *Cache[V]) Put(key []byte, v V, size int, now, expires time.Time) bool {
	h := c.hash(key)
	return c.shard(h).put(&entry[V]{
		hash: h, key: string(key), value: v, expires: expires,
		size: int64(len(key)) + max(int64(size), 0) + overhead[V](),
	}, now)
}

// Clear removes everything.
func (c *Cache[V]) Clear() {
	for i := range c.shards {
		c.shards[i].clear()
	}
}

// Stats adds the shards up, one after the other.
func (c *Cache[V]) Stats() Stats {
	var s Stats
	for i := range c.shards {
		c.shards[i].addTo(&s)
	}
	return s
}

// shard takes the upper half of the hash: the index uses all of it.
func (c *Cache[V]) shard(h uint64) *shard[V] {
	return &c.shards[(h>>32)&uint64(len(c.shards)-1)]
}
