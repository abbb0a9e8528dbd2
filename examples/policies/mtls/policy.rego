# Mutual TLS everywhere, and only from namespaces that are named; for HTTP and
# TCP alike.
package envoy.authz

default allow := false

allow if namespace in data.mtls.namespaces

namespace := parts[1] if {
	[trust_domain, rest] := split(trim_prefix(input.attributes.source.principal, "spiffe://"), "/ns/")
	trust_domain == data.mtls.trust_domain
	parts := regex.find_all_string_submatch_n(`^([^/]+)/sa/[^/]+$`, rest, 1)[0]
}
