// Package ratelimit answers Envoy's RateLimitService
// (envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit), in the way of
// envoyproxy/ratelimit.
//
// In: RateLimitRequests as raw frames (ingest.Codec), read by hand. Out: the
// question which limits bear on the descriptors, to a mesh.LimitFinder; the
// charge, to a mesh.Limiter; and the answer, written by hand: a status for each
// descriptor, and if asked for, headers and dynamic metadata.
//
// Each descriptor is charged for itself: one that is over its limit does not
// keep the others from being counted. A failure to find the limits is answered
// as Config.OnError says; what an unreachable source of quotas means is said by
// the quotas. Every request has a deadline below the proxy's, and of more than
// Config.MaxInFlight at once the rest is answered as a failure immediately, and
// counted. Nothing queues.
//
// The package must not import policy, red, spans, exporters, storage or
// collector.
package ratelimit
