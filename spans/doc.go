// Package spans makes spans of access-log entries: a client span of what the
// source reports of a request, a server span of what the destination reports.
//
// In go batches of entries, as a mesh.Sink, and the spans of proxies that trace
// natively, as ptrace.Traces. Out go ptrace.Traces to consumers of pdata, the
// same to each.
//
// A request is sampled if its proxy sampled it, by a ratio of trace ids, if it
// failed, was denied, took longer than a limit or than 99 % of the requests of its
// edge; each with a bound per second. What is not sampled costs a few comparisons
// and no allocation; the rest of a sampled entry is read with a mesh.Detailer, so
// the package knows no wire format.
//
// Ids are those of the trace headers. Where no header tells the id of a span it
// is derived, without state, from what both sides of a hop know, so that both
// sides meet whichever replica they report to.
//
// The package promises never to block its producer: under overload it sheds whole
// requests of spans and counts them. The books, exported as tallygate_spans_*, for
// each exporter and once idle: sampled + recovered = exported + dropped + queued.
//
// The package must not import ingest, policy, red, exporters, storage, collector,
// Envoy's types, Thrift or CQL.
package spans
