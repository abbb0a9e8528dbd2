// Command bench measures Tallygate and writes the figures of docs/benchmarks.md.
//
//	go run ./test/bench -write docs/benchmarks.md                     everything, about half an hour
//	go run ./test/bench -write docs/benchmarks.md -only policy,quota  some parts
//	go run ./test/bench -quick                                        some minutes, rough
//
// Every server is a process of its own on loopback, driven by
// internal/envoysim; what is compared runs interleaved in the same minutes.
// What counts is the CPU time of the server's process by the operating system,
// so that the load generator and other load do not matter much; ratios of
// medians are held to targets, wall times are only reported. The command fails
// if a target is missed.
//
// The references are this command again:
//
//	go run ./test/bench serve discard|walk|generated
package main
