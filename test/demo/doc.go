// Command demo shows Tallygate at work on this machine: three real Envoy
// sidecars with mTLS between them, traffic over two hops with some errors in it,
// Tallygate behind their access logs, and a real Prometheus whose answers it
// shows as a live table.
//
//	go run ./test/components fetch envoy prometheus
//	go run ./test/demo                     until Ctrl-C
//	go run ./test/demo -for 30s -check     fails if a row that must be there is missing
package main
