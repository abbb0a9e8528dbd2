# Mutual TLS everywhere, and only from namespaces that are named; for HTTP and
# TCP alike.
package envoy.authz

import data.tallygate.mtls
import data.tallygate.spiffe

default allow := false

allow if {
	mtls.mutual
	mtls.from(data.mtls.trust_domains)
	spiffe.peer.namespace in data.mtls.namespaces
}
