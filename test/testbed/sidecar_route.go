package testbed

// outboundRoutes has one virtual host per service. The first path segment
// chooses what the route does beside sending: see httpApp.
func (s *Sidecar) outboundRoutes() obj {
	hosts := list{}
	for _, d := range s.routes {
		service := obj{"filter_metadata": obj{"tallygate": obj{"destination_service": d.host}}}
		route := func(match obj, port int, action obj) obj {
			action["cluster"] = outboundName(port, d.host)
			return obj{"match": match, "route": action, "metadata": service}
		}
		hosts = append(hosts, obj{
			"name":    d.host,
			"domains": list{d.host},
			"routes": list{
				route(obj{"prefix": "/", "grpc": obj{}}, portGRPC, obj{"timeout": "0s"}),
				route(obj{"prefix": "/slow/"}, portHTTP, obj{"timeout": seconds(UpstreamTimeout)}),
				route(obj{"prefix": "/hang/"}, portHTTP, obj{"timeout": "0s"}),
				route(obj{"prefix": "/flaky/"}, portHTTP, obj{
					"timeout": "15s",
					"retry_policy": obj{
						"retry_on": "5xx", "num_retries": Attempts - 1,
						"retry_back_off": obj{"base_interval": "0.005s", "max_interval": "0.010s"},
					},
				}),
				route(obj{"prefix": "/"}, portHTTP, obj{"timeout": "15s"}),
			},
		})
	}
	return obj{"name": "outbound", "virtual_hosts": hosts}
}

func (s *Sidecar) inboundRoutes() obj {
	return obj{"name": "inbound", "virtual_hosts": list{obj{
		"name":    "app",
		"domains": list{"*"},
		"routes": list{
			obj{"match": obj{"prefix": "/", "grpc": obj{}}, "route": obj{"cluster": inboundName(portGRPC), "timeout": "0s"}},
			obj{"match": obj{"prefix": "/"}, "route": obj{"cluster": inboundName(portHTTP), "timeout": "0s"}},
		},
	}}}
}
