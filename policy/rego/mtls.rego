# METADATA
# title: Mutual TLS
# description: |
#   Whether the connection proves who calls. Principals are those of verified
#   certificates; headers are never looked at.
package tallygate.mtls

import data.tallygate.spiffe

# mutual holds if both ends have shown a certificate with a SPIFFE id.
mutual if {
	spiffe.peer
	spiffe.self
}

# from holds if the client's certificate is of one of the trust domains.
from(trust_domains) if spiffe.peer.trust_domain in trust_domains

# satisfies holds if the connection is as PeerAuthentication of that mode wants
# it: STRICT, PERMISSIVE or DISABLE.
satisfies("STRICT") if mutual

satisfies("PERMISSIVE") if true

satisfies("DISABLE") if not spiffe.peer

# mode is that of the port, else that of all: {"mode": "STRICT", "ports": {"8080":
# "PERMISSIVE"}}, as PeerAuthentication has it.
mode(settings) := object.get(settings, ["ports", port], object.get(settings, "mode", "PERMISSIVE")) if {
	port := format_int(input.attributes.destination.address.socketAddress.portValue, 10)
}
