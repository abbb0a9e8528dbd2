package tallygate.mtls_test

import data.tallygate
import data.tallygate.mtls

both := {"principal": "spiffe://td/ns/a/sa/b", "destination_principal": "spiffe://td/ns/c/sa/d"}

test_mutual if {
	mtls.mutual with input as tallygate.request(both)
	not mtls.mutual with input as tallygate.request({"principal": "spiffe://td/ns/a/sa/b"})
	not mtls.mutual with input as tallygate.request({"destination_principal": "spiffe://td/ns/a/sa/b"})
	not mtls.mutual with input as tallygate.request(object.union(both, {"principal": "CN=ann"}))
	not mtls.mutual with input as tallygate.request({"headers": {"x-forwarded-client-cert": "URI=spiffe://td/ns/a/sa/b"}})
}

test_from if {
	mtls.from(["other", "td"]) with input as tallygate.request(both)
	not mtls.from(["other"]) with input as tallygate.request(both)
	not mtls.from(["td"]) with input as tallygate.request({})
}

test_satisfies if {
	mtls.satisfies("STRICT") with input as tallygate.request(both)
	not mtls.satisfies("STRICT") with input as tallygate.request({})
	mtls.satisfies("PERMISSIVE") with input as tallygate.request({})
	mtls.satisfies("DISABLE") with input as tallygate.request({})
	not mtls.satisfies("DISABLE") with input as tallygate.request(both)
	not mtls.satisfies("strict") with input as tallygate.request(both)
}

test_mode if {
	settings := {"mode": "STRICT", "ports": {"8080": "PERMISSIVE"}}
	mtls.mode(settings) == "PERMISSIVE" with input as tallygate.request({"destination": "10.0.0.1:8080"})
	mtls.mode(settings) == "STRICT" with input as tallygate.request({"destination": "10.0.0.1:9090"})
	mtls.mode({}) == "PERMISSIVE" with input as tallygate.request({})
}
