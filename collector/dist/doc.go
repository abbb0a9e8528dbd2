// Package dist is a distribution of the OpenTelemetry Collector, assembled in code:
// Envoy's access logs as a receiver (type tallygate_als) that makes metrics and
// spans of them, our exporters, and the Collector's own components that Tallygate
// hosts too.
//
// The receiver decodes, counts and samples as tallygate serve does, with the same
// packages: entries do not become pdata, only what comes of them does. A
// Collector that reloads its configuration closes the receiver's streams; proxies
// then open others and lose nothing that was counted.
//
// README.md shows how to add a component.
package dist
