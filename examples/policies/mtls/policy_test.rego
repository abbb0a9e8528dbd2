package envoy.authz_test

import data.envoy.authz
import data.tallygate

from(principal) := tallygate.request({"principal": principal, "destination_principal": "spiffe://cluster.local/ns/shop/sa/reviews"})

test_named_namespace if authz.allow with input as from("spiffe://cluster.local/ns/shop/sa/front")

test_other_namespace if not authz.allow with input as from("spiffe://cluster.local/ns/dev/sa/front")

test_other_trust_domain if not authz.allow with input as from("spiffe://elsewhere/ns/shop/sa/front")

test_longer_path if not authz.allow with input as from("spiffe://cluster.local/ns/shop/sa/front/x")

test_no_certificate if not authz.allow with input as tallygate.request({})

test_tcp if authz.allow with input as tallygate.request({
	"tcp": true,
	"principal": "spiffe://cluster.local/ns/ops/sa/backup",
	"destination_principal": "spiffe://cluster.local/ns/shop/sa/db",
})
