// Package jaeger is a Collector exporter, of type jaeger, that sends spans in
// Jaeger's Thrift: for installations that do not take OTLP.
//
// In go ptrace.Traces, mapped by jaegermodel. Out go batches of one process each,
// over HTTP (thrift_http, port 14268) or in UDP packets (thrift_compact, port 6831,
// which an agent takes). Queue, retry and books are the exporter helper's, so
// under overload the queue fills and then sheds.
//
// Over HTTP what the other side did not take is sent again, and nothing that it
// took. UDP has no answer: what is sent counts as exported. A packet holds as many
// spans as fit; a span that alone does not fit is cut until it does, and counted.
//
// The package is the only importer of jaeger-client-go. It must not import ingest,
// policy, storage or the other exporters.
package jaeger
