// Package policy is the decider: it answers a [mesh.Query] from the decision
// cache or, failing that, from the active rules.
//
// In: requests as lenses, and [Rules], one immutable generation at a time. Out:
// decisions, each with an id of its own, or an error, which is a failure to
// judge and never a denial: the listener that asked knows what that means.
//
// The key of a decision is made of everything that the rules can read, as
// their [Shape] says: generation, entrypoint, kind of listener, and for each
// path presence, kind and value, in an encoding that is injective. A decision is
// kept for the least of what the rules state, the configured caps, and the
// expiry of tokens that it rests on. Failures are never kept.
//
// Under overload it does not queue: evaluations beyond an adaptive limit and
// those beyond the timeout fail at once and are counted; hits are never
// limited. Decision log and shadow work behind bounded queues that drop and
// count.
//
// The package must not import ingest, red, spans, exporters, storage, Envoy's
// types or gRPC; only policy/opa imports OPA, and this package does not know it.
package policy
