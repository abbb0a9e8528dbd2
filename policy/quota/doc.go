// Package quota charges limits: it implements [mesh.Limiter].
//
// In: quotas, each a limit as data with a key and a cost. Out: per quota whether
// it passes, what remains and when to come again, and the strictest of them.
//
// The arithmetic (gcra.go, window.go) is pure: state and time are arguments, and
// it is exact: no rounding in favour of anybody adds up. Sources keep the
// states: local in a sharded table that is bounded by bytes, where new keys
// share one limit per quota once it is full; redis for a fleet, from which
// tokens are taken ahead of being spent, as leases that do not grow old.
//
// The promise: over any interval T, admitted ≤ burst + rate × (T + L), where L is
// the maximum age of a lease, 0 for the local source; for a fixed window admitted
// ≤ limit in each. Each loss of a source's state adds at most one burst or limit.
// A charge never waits longer than its context, and one that cannot be made is
// answered as the quota's on_error says, and counted.
//
// User text never goes to Redis: keys are digests of fixed size. The package is
// the only importer of rueidis; it must not import ingest, Envoy's types or gRPC.
package quota
