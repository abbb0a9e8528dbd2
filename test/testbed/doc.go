// Package testbed runs a small real mesh on loopback: Envoy sidecars with
// SPIFFE certificates, applications behind them, a driver that knows exactly
// what it asked for, and the programs that watch (Tallygate, Prometheus, Redis,
// Cassandra, Jaeger).
//
// A [Bed] owns the processes that it started: each listens on ephemeral ports
// of 127.0.0.0/8, writes its log to a file of the bed's directory, is ready
// when its Start method returns, and dies with the bed, or with us. Programs
// come from the cache of test/components; one that is missing is an error.
//
// The package does not import testing: test/e2e wraps it for tests, test/demo
// for people, test/capture for files of frames.
package testbed
