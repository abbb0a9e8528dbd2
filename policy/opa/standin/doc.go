// Package standin judges requests with OPA in the straightforward way: the
// CheckRequest as JSON, all of it converted, one prepared query, no cache. It
// stands in for opa-envoy-plugin, which is no Go module, as what benchmarks
// compare with; nothing that serves imports it.
package standin
