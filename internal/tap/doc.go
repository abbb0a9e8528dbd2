// Package tap shows single requests: the last failures and denials of every edge,
// and, to who watches, the entries that pass a filter as they come.
//
// A [Tap] is a mesh.Sink beside red. While nobody watches it looks at each entry
// only to see whether it failed; of those it keeps the last few of each edge, and
// no more than some per second. While somebody watches, entries that match are
// copied to them; a watcher that does not keep up, or asks for more than
// [Config.MaxRate], misses some and is told how many. Nothing ever waits for a
// watcher.
//
// What it keeps holds no header and no body, and query parameters that are
// likely to be secret are masked.
package tap
