package tallygate.spiffe_test

import data.tallygate
import data.tallygate.spiffe

test_workload if {
	id := spiffe.parse("spiffe://cluster.local/ns/shop/sa/front")
	id.trust_domain == "cluster.local"
	id.namespace == "shop"
	id.service_account == "front"
	id.path == "/ns/shop/sa/front"
	id.segments == ["ns", "shop", "sa", "front"]
}

test_other_ids if {
	spiffe.parse("spiffe://td").segments == []
	spiffe.parse("spiffe://td/a/b") == {"trust_domain": "td", "path": "/a/b", "segments": ["a", "b"]}
	not spiffe.parse("spiffe://td/ns/shop/sa").namespace
	not spiffe.parse("spiffe://td/ns/shop/sa/front/x").namespace
	not spiffe.parse("spiffe://td/xx/shop/sa/front").namespace
	not spiffe.parse("spiffe://td/ns/shop/xx/front").namespace
}

test_no_ids if {
	every id in [
		"", "cluster.local/ns/shop/sa/front", "https://cluster.local/x", "spiffe://", "spiffe:///x",
		"spiffe://TD/x", "spiffe://td/", "spiffe://td//x", "spiffe://td/x/", "spiffe://td/x?y", "spiffe://td:80/x",
		"spiffe://td/../x", "spiffe://td/./x", "spiffe://td/x y", "spiffe://user@td/x", "xspiffe://td/x",
	] {
		not spiffe.parse(id)
	}
}

test_ends if {
	r := tallygate.request({"principal": "spiffe://td/ns/a/sa/b", "destination_principal": "spiffe://td/ns/c/sa/d"})
	spiffe.peer.namespace == "a" with input as r
	spiffe.self.namespace == "c" with input as r
	not spiffe.peer with input as tallygate.request({})
	not spiffe.self with input as tallygate.request({})
}
