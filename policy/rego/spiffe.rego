# METADATA
# title: SPIFFE identities
# description: |
#   Reads the SPIFFE ids that certificates prove. What is read of the request is
#   the principal of the end that is asked about, nothing else.
package tallygate.spiffe

# parse gives trust_domain, path and segments of a SPIFFE id, and namespace and
# service_account of one as Istio writes it (spiffe://td/ns/<ns>/sa/<sa>).
# Undefined for what is no SPIFFE id.
parse(id) := object.union({"trust_domain": domain, "path": path, "segments": segments}, workload(segments)) if {
	count(id) <= 2048
	[[_, domain, path]] := regex.find_all_string_submatch_n(`^spiffe://([a-z0-9._-]{1,255})((?:/[A-Za-z0-9._-]+)*)$`, id, 1)
	segments := [s | some s in split(path, "/"); s != ""]
	every s in segments { not s in {".", ".."} }
}

workload(segments) := {"namespace": segments[1], "service_account": segments[3]} if {
	count(segments) == 4
	segments[0] == "ns"
	segments[2] == "sa"
} else := {}

# peer is who calls, by the client's verified certificate.
peer := parse(input.attributes.source.principal)

# self is who is called, by the server's certificate.
self := parse(input.attributes.destination.principal)
