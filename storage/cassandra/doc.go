// Package cassandra keeps spans in Cassandra, in Jaeger's own schema v004: what it
// writes a stock Jaeger reads, and what Jaeger wrote it reads. It is a Collector
// exporter of type "cassandra" and a storage.Reader over the same keyspace; it is
// the only importer of gocql.
//
// A push returns nil once every row of its spans, those of the indexes included,
// is written at the configured consistency. Rows are written at the same time, at
// most max_in_flight of them in the whole exporter; who pushes waits, the sending
// queue fills and sheds and counts, and memory stays bounded. Rows of one
// partition, as the spans of a trace, travel together as one statement of up to
// batch_rows rows, which Cassandra applies as one mutation; with batch_partitions
// the rows of several partitions of an index do, too.
//
// Every statement is idempotent: a span's row has its hash in its key, so a retry
// writes the same row. A statement that fails for a passing reason is tried again
// after a pause; if it still fails the spans it belongs to, and no others, go back
// to the queue, which retries as retry_on_failure says. What Cassandra refuses for
// good is dropped and counted.
//
// Names of services and operations are written once per half their time to live.
// Edges between services, learned from the spans that pass by, go to
// dependencies_v2, which Jaeger reads and nothing of Jaeger's fills.
package cassandra
