package envoy.authz_test

import data.envoy.authz

request(account, method, path) := {
	"attributes": {
		"source": {"principal": sprintf("spiffe://cluster.local/ns/shop/sa/%s", [account])},
		"request": {"http": {"method": method, "path": concat("/", array.concat([""], path))}},
	},
	"parsed_path": path,
}

test_reader_reads if authz.allow.allowed with input as request("front", "GET", ["reviews", "7"])

test_reader_does_not_order if not authz.allow.allowed with input as request("front", "POST", ["orders"])

test_orderer_orders if authz.allow.allowed with input as request("checkout", "POST", ["orders"])

test_stranger_is_denied if not authz.allow.allowed with input as request("other", "GET", ["reviews", "7"])

test_nobody_is_denied if not authz.allow.allowed with input as {"parsed_path": ["reviews"]}
