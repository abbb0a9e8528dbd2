# Connections that are not HTTP, as to databases: which service account may reach
# which port. HTTP requests are none of this policy's business and denied.
package envoy.authz

import data.tallygate.spiffe

default allow := false

allow if {
	not is_http
	peer := spiffe.peer
	port := format_int(input.attributes.destination.address.socketAddress.portValue, 10)
	concat("/", [peer.namespace, peer.service_account]) in data.ports[port]
}

is_http if input.attributes.request.http.method
