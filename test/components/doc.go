// Command components brings the real programs that the tests and the demo run
// (Envoy, nginx, Prometheus, Redis, Cassandra, Jaeger) into one cache, without root
// and without starting a service:
//
//	go run ./test/components list
//	go run ./test/components fetch envoy prometheus
//	go run ./test/components fetch all
//	go run ./test/components path envoy
//
// The cache is .cache/components in the project, or the directory that
// TALLYGATE_CACHE names. What is there already is not fetched again.
package main
