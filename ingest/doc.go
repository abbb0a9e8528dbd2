// Package ingest owns what proxies connect to: listeners, TLS, keep-alive,
// message sizes and the order of a drain. The packages below it speak the
// protocols.
//
// In: a configuration with the keys of the OpenTelemetry Collector's
// configgrpc, confighttp and configtls, and handlers. Out: running servers. The
// gRPC servers are built here and not by configgrpc, because that installs a
// telemetry handler on every message, and because gRPC's own
// max_connection_age closes access-log streams hard.
//
// A [GRPCServer] or [HTTPServer] does nothing until Listen, serves in Run, and
// when the context of Run ends it drains: health says NOT_SERVING, the clients
// are told to go elsewhere, handlers finish by themselves within the grace
// period, what is left is cut off.
//
// Certificates are read again when their files change and on request; broken
// files leave the last good ones in place and are counted.
//
// Under overload nothing is shed here: flow-control windows have a fixed size,
// so a handler that does not read stalls its own stream and holds at most one
// window of memory.
//
// The package must not import policy, red, spans, exporters, storage or
// collector.
package ingest
