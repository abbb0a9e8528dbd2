package als

import (
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

// destinationService finds the service that a request asked for: tags, then the
// name that Istio gives its clusters, then the authority if that is allowed.
// namespace is that of the destination workload, the last resort for the
// service's.
func (r *record) destinationService(authority bool, namespace string) (s mesh.DestinationService) {
	cluster := r.get(slotUpstreamCluster)
	s.Host = stripPort(r.told(slot(mesh.LabelDestinationService)))
	s.Name = r.told(slot(mesh.LabelDestinationServiceName))
	s.Namespace = r.told(slot(mesh.LabelDestinationServiceNamespace))
	if s.Host == "" {
		s.Host = clusterHost(cluster)
	}
	builtin := cluster == "BlackHoleCluster" || strings.HasPrefix(cluster, "PassthroughCluster") ||
		strings.HasPrefix(cluster, "InboundPassthroughCluster")
	if s.Host == "" && authority {
		s.Host = strings.ToLower(stripPort(r.get(slotAuthority)))
	}
	service, serviceNamespace := splitHost(s.Host)
	if s.Name == "" {
		s.Name = service
		if builtin {
			s.Name = cluster
		}
	}
	for _, fallback := range []string{serviceNamespace, namespace, mesh.Unknown} {
		if s.Namespace == "" {
			s.Namespace = fallback
		}
	}
	if s.Host == "" {
		s.Host = mesh.Unknown
	}
	if s.Name == "" {
		s.Name = mesh.Unknown
	}
	return s
}

// clusterHost returns the host in Istio's name for a cluster,
// direction|port|subset|host or direction_.port_.subset_.host.
func clusterHost(cluster string) string {
	direction, rest, ok := strings.Cut(cluster, "|")
	sep := "|"
	if !ok {
		if direction, rest, ok = strings.Cut(cluster, "_."); !ok {
			return ""
		}
		sep = "_."
	}
	switch direction {
	case "outbound", "inbound", "inbound-vip":
	default:
		return ""
	}
	_, rest, _ = strings.Cut(rest, sep)
	_, host, _ := strings.Cut(rest, sep)
	return host
}

// splitHost returns service and namespace of a Kubernetes service's name; of any
// other host the whole of it and no namespace.
func splitHost(host string) (service, namespace string) {
	service, rest, _ := strings.Cut(host, ".")
	namespace, rest, _ = strings.Cut(rest, ".")
	if namespace == "" || rest != "svc" && !strings.HasPrefix(rest, "svc.") {
		return host, ""
	}
	return service, namespace
}

// stripPort returns the host of host:port.
func stripPort(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || i == len(host)-1 || strings.IndexByte(host, ':') != i && !strings.HasSuffix(host[:i], "]") {
		return host // no port, or a bare IPv6 address
	}
	for _, c := range host[i+1:] {
		if c < '0' || c > '9' {
			return host
		}
	}
	return host[:i]
}
