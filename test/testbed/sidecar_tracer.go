package testbed

// traceHeaders join the hops of a trace.
var traceHeaders = []string{
	"x-request-id", "traceparent", "tracestate", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "b3", "uber-trace-id",
}

// headersToLog are the request headers of which the access log tells.
var headersToLog = func() (names list) {
	names = list{"content-type"}
	for _, h := range traceHeaders {
		names = append(names, h)
	}
	return names
}()

// tracing is the tracing of an HTTP connection manager, nil without a tracer.
func (s *Sidecar) tracing(cfg MeshConfig) obj {
	provider := obj{"name": "envoy.tracers.opentelemetry", "typed_config": obj{
		"@type":        api + "config.trace.v3.OpenTelemetryConfig",
		"grpc_service": obj{"envoy_grpc": obj{"cluster_name": "spans"}},
		"service_name": s.Workload,
	}}
	switch cfg.Tracer {
	case TracerNone:
		return nil
	case TracerZipkin:
		provider = obj{"name": "envoy.tracers.zipkin", "typed_config": obj{
			"@type":                      api + "config.trace.v3.ZipkinConfig",
			"collector_cluster":          "spans",
			"collector_endpoint":         "/api/v2/spans",
			"collector_endpoint_version": "HTTP_JSON",
			"trace_id_128bit":            true,
		}}
	}
	t := obj{"provider": provider}
	if cfg.SampleNone {
		t["random_sampling"] = obj{"value": 0}
	}
	return t
}

// spansCluster reaches what takes the tracer's spans. Without endpoints it
// swallows them: then only the tracer's ids are wanted.
func spansCluster(cfg MeshConfig) obj {
	c := obj{
		"name": "spans", "type": "STATIC", "connect_timeout": "1s",
		"load_assignment": assignment("spans", cfg.SpansTo),
	}
	if cfg.Tracer != TracerZipkin {
		c["typed_extension_protocol_options"] = http2()
	}
	return c
}
