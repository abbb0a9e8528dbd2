// Package jaegermodel is Jaeger's model of a span and the one mapping to it
// from OpenTelemetry's: process, tags, logs, references. What Jaeger itself
// would store for an OTLP span is what [FromTraces] returns, so that a trace
// reads the same whether Jaeger stored it, a store of ours did, or it went to a
// Jaeger over Thrift.
//
// Source: the OTLP to Jaeger translation of the OpenTelemetry specification
// (https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/jaeger/) and
// what Jaeger 2.13 does beyond it: empty service names, text that is not UTF-8
// and negative durations are replaced, and the span says so.
//
// Times are microseconds, as in Jaeger's stores and interfaces.
//
// It is a leaf: stores and exporters import it, and it imports only pdata.
package jaegermodel
