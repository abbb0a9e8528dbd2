// Command capture drives every kind of traffic through the real mesh of
// test/testbed and saves the access-log messages as Envoy sent them, one file
// each: the corpus of the decoder's tests.
//
//	go run ./test/capture -out ingest/als/testdata/frames
//
// Of a message only node.extensions is left out (60 KB of what Envoy was built
// with); every other byte is Envoy's.
package main
