// Package host runs components of the OpenTelemetry Collector inside Tallygate,
// without a Collector: from the maps below `exporters:`, `extensions:` and
// `receivers:` of a configuration, in the Collector's own YAML, it makes started
// components that take and hand over pdata.
//
// What makes the exporters reliable (queue, retry, batching, compression, TLS)
// is theirs and configured as in a Collector. Under overload an exporter sheds
// when its queue is full and says so in its error and its metrics; the host
// neither queues nor retries. A queue with a storage is on disk and survives the
// process.
//
// The components' logs go to slog. Their metrics (otelcol_exporter_*,
// otelcol_receiver_*) are registered under the names that they have in a
// Collector.
//
// Every configured extension runs: exporters and receivers find authenticators
// and storage among them.
//
// Only the wiring in cmd may import this package.
package host
