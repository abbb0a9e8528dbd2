package envoy.authz_test

import data.envoy.authz
import data.tallygate

call(account, path) := tallygate.request({
	"method": "POST", "path": path, "headers": {"content-type": "application/grpc"},
	"principal": concat("", ["spiffe://cluster.local/ns/shop/sa/", account]),
})

test_front if {
	authz.allow.allowed with input as call("front", "/shop.v1.Catalog/List")
	authz.allow.allowed with input as call("front", "/shop.v1.Orders/Get")
	not authz.allow.allowed with input as call("front", "/shop.v1.Orders/Place")
}

test_checkout if {
	authz.allow.allowed with input as call("checkout", "/shop.v1.Orders/Place")
	not authz.allow.allowed with input as call("checkout", "/bank.v1.Transfers/Send")
}

test_health if authz.allow.allowed with input as call("nobody", "/grpc.health.v1.Health/Check")

test_not_grpc if not authz.allow.allowed with input as tallygate.request({
	"path": "/shop.v1.Orders/Get",
	"principal": "spiffe://cluster.local/ns/shop/sa/checkout",
})
