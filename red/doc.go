// Package red turns access-log entries into rate, errors and duration: series
// of counters and histograms under the names and labels of Istio's standard
// metrics.
//
// A [Table] is a mesh.Sink. Every entry is counted at once, under the lock of
// one of many shards, into one series per view; a view is the set of families
// that share their labels. [Table.Snapshot] copies all values out, shard by
// shard; exporters render from the copy and never touch the table.
//
// The table never sheds an entry: Consume returns when the batch is counted.
// What is bounded is memory. Series that get no entries are removed after
// [Config.Expiry]; label values beyond [Config.MaxLabelValues] become
// "overflow" in that label; label sets beyond [Config.MaxSeries] are counted in
// one overflow series per reporter and protocol. Both are counted in [Stats].
//
// A [History] keeps what was counted in the last hour, in steps, by reading the
// table once per step: an entry costs nothing more.
//
// The package imports the standard library and mesh only: no metrics client
// library (its own figures come out through Stats) and no Envoy types.
package red
