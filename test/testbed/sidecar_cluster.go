package testbed

// logSink is the access-log service as the sidecars know it.
type logSink struct {
	endpoints string // file with the endpoints, watched by Envoy
	tls       bool
}

// serviceCluster reaches a service on one of its ports, from the sidecar's own
// address.
func (s *Sidecar) serviceCluster(d destination, port int, addr string) obj {
	name := outboundName(port, d.host)
	c := obj{
		"name":                 name,
		"type":                 "STATIC",
		"connect_timeout":      "2s",
		"alt_stat_name":        clean(name),
		"load_assignment":      assignment(name, addr),
		"upstream_bind_config": bindTo(s.IP),
	}
	if port == portGRPC || port == portHTTP && d.uri != "" {
		c["typed_extension_protocol_options"] = http2()
	}
	if d.uri != "" {
		c["transport_socket"] = obj{
			"name": "envoy.transport_sockets.tls",
			"typed_config": obj{
				"@type":              api + "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
				"common_tls_context": s.tlsContext(s.root(), d.uri),
			},
		}
	}
	return c
}

// appCluster reaches the application beside a sidecar.
func appCluster(port int, addr string) obj {
	c := obj{
		"name":            inboundName(port),
		"type":            "STATIC",
		"connect_timeout": "2s",
		"load_assignment": assignment(inboundName(port), addr),
	}
	if port == portGRPC {
		c["typed_extension_protocol_options"] = http2()
	}
	return c
}

// cluster reaches the access-log service; its endpoints can move.
func (l logSink) cluster(s *Sidecar) obj {
	c := obj{
		"name":            "tallygate",
		"type":            "EDS",
		"connect_timeout": "1s",
		"eds_cluster_config": obj{"eds_config": obj{
			"resource_api_version": "V3",
			"path_config_source":   obj{"path": l.endpoints},
		}},
		"typed_extension_protocol_options": http2(),
		"upstream_bind_config":             bindTo(s.IP),
		// A replica says first that it goes, and sends its streams away when nobody
		// chooses it any more (drain.delay).
		"ignore_health_on_host_removal": true,
		"health_checks": list{obj{
			"timeout": "1s", "interval": "0.5s", "no_traffic_interval": "0.5s",
			"unhealthy_threshold": 1, "healthy_threshold": 1, "grpc_health_check": obj{},
		}},
	}
	if l.tls {
		c["transport_socket"] = obj{
			"name": "envoy.transport_sockets.tls",
			"typed_config": obj{
				"@type":              api + "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
				"common_tls_context": s.tlsContext(s.root(), ""),
			},
		}
	}
	return c
}

// checksCluster reaches who answers ext_authz.
func checksCluster(addr string) obj {
	return obj{
		"name": "checks", "type": "STATIC", "connect_timeout": "1s",
		"load_assignment":                  assignment("checks", addr),
		"typed_extension_protocol_options": http2(),
	}
}

func assignment(name, addr string) obj {
	endpoints := list{}
	if addr != "" {
		endpoints = append(endpoints, obj{"endpoint": obj{"address": socketAddress(addr)}})
	}
	return obj{"cluster_name": name, "endpoints": list{obj{"lb_endpoints": endpoints}}}
}

func bindTo(ip string) obj {
	return obj{"source_address": obj{"address": ip, "port_value": 0}}
}

func http2() obj {
	return obj{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": obj{
		"@type":                api + "extensions.upstreams.http.v3.HttpProtocolOptions",
		"explicit_http_config": obj{"http2_protocol_options": obj{}},
	}}
}
