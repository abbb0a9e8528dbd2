// Package host runs exporters of the OpenTelemetry Collector inside Tallygate,
// without a Collector: from the map below `exporters:` of a configuration, in
// the Collector's own YAML, it makes started components that take pdata.
//
// What makes the exporters reliable (queue, retry, batching, compression, TLS)
// is theirs and configured as in a Collector. Under overload an exporter sheds
// when its queue is full and says so in its error and its metrics; the host
// neither queues nor retries.
//
// The exporters' logs go to slog. Their metrics (otelcol_exporter_*) are
// registered under the names that they have in a Collector.
//
// Extensions, and with them authenticators and persistent queues, are not
// hosted: a configuration that names one fails at Start.
//
// Only the wiring in cmd may import this package.
package host
