// Package ingesttest serves gRPC services over loopback for tests, and reads
// their metrics.
package ingesttest
