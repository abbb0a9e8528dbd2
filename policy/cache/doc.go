// Package cache holds decisions: a map from whole keys to values that is bounded
// by bytes, and the single flight that fills it.
//
// A [Cache] is divided into shards, each with a lock, an index by 64-bit hash
// and a CLOCK hand. The hash only finds the candidates: the whole key is
// compared, always. Keys are bytes that the caller may reuse; a hit copies and
// allocates nothing. Time is an argument. Under pressure the least recently
// used entries go, in the approximation that CLOCK is, and an entry that is
// larger than a shard's share is refused; both are counted in [Stats]. Whether
// and for how long something is stored is the caller's decision.
//
// [Flights] lets one of many equal misses do the work. The work has a deadline
// of its own: a leader whose client gives up does not fail the others.
//
// It is our own code and not a cache library: those that were looked at evict
// asynchronously, so that a burst of large entries exceeds the bound, take keys
// as strings, or keep hashes in place of keys.
//
// The package imports the standard library only.
package cache
