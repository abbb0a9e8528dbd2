package envoy.authz_test

import data.envoy.authz
import data.tallygate

request(account, method, path) := tallygate.request({
	"method": method, "path": path,
	"principal": concat("", ["spiffe://cluster.local/ns/shop/sa/", account]),
})

test_reader_reads if authz.allow.allowed with input as request("front", "GET", "/reviews/7")

test_reader_does_not_order if not authz.allow.allowed with input as request("front", "POST", "/orders")

test_orderer_orders if authz.allow.allowed with input as request("checkout", "POST", "/orders")

test_stranger_is_denied if not authz.allow.allowed with input as request("other", "GET", "/reviews/7")

test_nobody_is_denied if not authz.allow.allowed with input as tallygate.request({"path": "/reviews"})
