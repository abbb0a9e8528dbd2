// Package descriptors reads the limits that envoyproxy/ratelimit's YAML states,
// and finds the one that a descriptor matches: it implements [mesh.LimitFinder].
//
// In: files, one domain each: trees of descriptors with limits. Out: per
// descriptor of a request the rule, and the quota to charge for it, counted in
// fixed windows as there. The meaning of every key is that of
// envoyproxy/ratelimit's README; what is stricter here are unknown keys, missing
// limits and duplicates, which are errors with file, line and what to do.
//
// A [Set] is compiled once and immutable; finding in it allocates nothing. A
// [Loader] follows the files and replaces the Set as a whole; files that do not
// compile leave the last good one in place, are counted, and said once.
//
// The package must not import ingest, Envoy's types or gRPC.
package descriptors
