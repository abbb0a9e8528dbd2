package testbed

type direction string

const (
	inbound  direction = "INBOUND"
	outbound direction = "OUTBOUND"
)

// httpListener is an HTTP listener, gRPC included.
func (s *Sidecar) httpListener(cfg MeshConfig, dir direction) obj {
	addr, routes := s.HTTPOut, s.outboundRoutes()
	if dir == inbound {
		addr, routes = s.HTTPIn, s.inboundRoutes()
	}
	manager := obj{
		"@type":        api + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"stat_prefix":  "http_" + string(dir),
		"codec_type":   "AUTO",
		"route_config": routes,
		"http_filters": append(list{
			obj{"name": "envoy.filters.http.grpc_stats", "typed_config": obj{
				"@type":                 api + "extensions.filters.http.grpc_stats.v3.FilterConfig",
				"emit_filter_state":     true,
				"enable_upstream_stats": true,
			}},
		}, decide(cfg, dir)...),
		"access_log": list{s.accessLog(cfg, dir, true)},
	}
	if t := s.tracing(cfg); t != nil {
		manager["tracing"] = t
	}
	return s.listener("http", addr, dir, obj{
		"name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
	})
}

// decide is whether a request may pass, and where it goes then.
func decide(cfg MeshConfig, dir direction) list {
	router := obj{"name": "envoy.filters.http.router", "typed_config": obj{
		"@type": api + "extensions.filters.http.router.v3.Router",
	}}
	if cfg.Checks == "" || dir == outbound {
		return list{router}
	}
	return list{obj{"name": "envoy.filters.http.ext_authz", "typed_config": obj{
		"@type":                 api + "extensions.filters.http.ext_authz.v3.ExtAuthz",
		"transport_api_version": "V3",
		"grpc_service":          obj{"envoy_grpc": obj{"cluster_name": "checks"}, "timeout": "1s"},
	}}, router}
}

func (s *Sidecar) tcpListener(cfg MeshConfig, dir direction) obj {
	addr, cluster := s.TCPOut, inboundName(portTCP)
	if dir == inbound {
		addr = s.TCPIn
	} else if s.tcpTo != nil {
		cluster = outboundName(portTCP, s.tcpTo.Service)
	}
	return s.listener("tcp", addr, dir, obj{
		"name": "envoy.filters.network.tcp_proxy",
		"typed_config": obj{
			"@type":       api + "extensions.filters.network.tcp_proxy.v3.TcpProxy",
			"stat_prefix": "tcp_" + string(dir),
			"cluster":     cluster,
			"access_log":  list{s.accessLog(cfg, dir, false)},
			"access_log_options": obj{
				"access_log_flush_interval": "1s", "flush_access_log_on_connected": true,
			},
		},
	})
}

// listener takes mTLS inbound, and plain text beside it, as Istio's permissive
// mode does.
func (s *Sidecar) listener(kind, addr string, dir direction, filter obj) obj {
	l := obj{
		"name":              string(dir) + "_" + kind,
		"address":           socketAddress(addr),
		"traffic_direction": string(dir),
	}
	plain := obj{"filters": list{filter}}
	if dir == outbound {
		l["filter_chains"] = list{plain}
		return l
	}
	l["listener_filters"] = list{obj{"name": "envoy.filters.listener.tls_inspector", "typed_config": obj{
		"@type": api + "extensions.filters.listener.tls_inspector.v3.TlsInspector",
	}}}
	plain["filter_chain_match"] = obj{"transport_protocol": "raw_buffer"}
	mutual := obj{
		"filter_chain_match": obj{"transport_protocol": "tls"},
		"filters":            list{filter},
		"transport_socket": obj{
			"name": "envoy.transport_sockets.tls",
			"typed_config": obj{
				"@type":                      api + "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
				"require_client_certificate": true,
				"common_tls_context":         s.tlsContext(s.root(), ""),
			},
		},
	}
	l["filter_chains"] = list{mutual, plain}
	return l
}

// accessLog streams the entries of a listener to Tallygate.
func (s *Sidecar) accessLog(cfg MeshConfig, dir direction, http bool) obj {
	common := obj{
		"log_name":                    "tallygate",
		"transport_api_version":       "V3",
		"grpc_service":                obj{"envoy_grpc": obj{"cluster_name": "tallygate"}},
		"buffer_flush_interval":       seconds(cfg.Flush),
		"filter_state_objects_to_log": list{"envoy.filters.http.grpc_stats"},
	}
	if tags := s.tags(cfg, dir, http); len(tags) > 0 {
		common["custom_tags"] = tags
	}
	if !http {
		return obj{"name": "envoy.access_loggers.tcp_grpc", "typed_config": obj{
			"@type":         api + "extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig",
			"common_config": common,
		}}
	}
	return obj{"name": "envoy.access_loggers.http_grpc", "typed_config": obj{
		"@type":                               api + "extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
		"common_config":                       common,
		"additional_request_headers_to_log":   headersToLog,
		"additional_response_headers_to_log":  list{"content-type", "grpc-status"},
		"additional_response_trailers_to_log": list{"grpc-status"},
	}}
}

// tags are what a plain Envoy must say for itself because it has no Istio
// filters.
func (s *Sidecar) tags(cfg MeshConfig, dir direction, http bool) list {
	if cfg.NoTags {
		return nil
	}
	tags := list{obj{"tag": "reporter", "value": "%CEL(xds.listener_direction)%"}}
	if http {
		tags = append(tags,
			obj{"tag": "tenant", "request_header": obj{"name": "x-tenant", "default_value": "-"}},
		)
	}
	if http && cfg.Tracer != TracerNone {
		tags = append(tags, obj{"tag": "trace_id", "value": "%TRACE_ID%"}, obj{"tag": "span_id", "value": "%SPAN_ID%"})
	}
	if dir == inbound {
		return append(tags, obj{"tag": "destination_service", "literal": obj{"value": s.Service}})
	}
	tags = append(tags,
		obj{"tag": "source_principal", "value": "%UPSTREAM_LOCAL_URI_SAN%"},
		obj{"tag": "destination_principal", "value": "%UPSTREAM_PEER_URI_SAN%"},
	)
	if http {
		tags = append(tags, obj{"tag": "destination_service", "metadata": obj{
			"kind":         obj{"route": obj{}},
			"metadata_key": obj{"key": "tallygate", "path": list{obj{"key": "destination_service"}}},
		}})
	} else if s.tcpTo != nil {
		tags = append(tags, obj{"tag": "destination_service", "literal": obj{"value": s.tcpTo.Service}})
	}
	return tags
}
