// Package local keeps spans in a directory of this machine: the store of a
// Tallygate that nobody gave a Jaeger or a Cassandra. It is a Collector exporter
// of type "local" and a storage.Reader over the same directory, on the engine
// Pebble.
//
// Spans that are few wait in the log and in memory; 8,192 of them, or those of
// half a minute, are sealed into a block: compressed chunks of spans in the order
// of their trace ids, and an inverted index from each term (service, operation,
// tag, class of duration) to the places in the block. Terms of one block that
// meet in one place are a span that is all that was searched for, so a search
// reads spans only of traces that it returns. Blocks belong to partitions by the
// time in which they were written; a partition goes as a whole when it is older
// than ttl, or is the oldest and all together are larger than max_bytes.
//
// Write returns nil once the spans are in the log on disk, and they survive a
// crash at any instant from then on. A span that is written again is stored
// again and returned once. Writers that come together share one sync. A write
// that would leave less than min_free_bytes on the disk is refused with an error
// that is worth a retry; if the engine fails all the same, every further write
// is refused, reads go on, and the next start recovers what was acknowledged.
//
// Edges between services are learned from the spans that pass by and written
// every minute: a crash loses those of the last minute.
package local
