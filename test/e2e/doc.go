// Package e2e proves on real programs what Tallygate promises: real Envoy
// sidecars with mTLS, a real Prometheus that scrapes, and Redis, Cassandra and
// Jaeger where they belong.
//
//	go run ./test/components fetch all
//	go test -tags e2e ./test/e2e/...
//
// The helpers start a program for a test, wait until it is ready, and end it
// with the test; when the test fails they show the end of its log. A component
// that is missing fails the run: nothing here skips.
package e2e
