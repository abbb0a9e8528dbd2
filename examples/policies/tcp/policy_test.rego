package envoy.authz_test

import data.envoy.authz
import data.tallygate

connection(account, port) := {
	"tcp": true, "destination": concat("", ["10.0.0.9:", port]),
	"principal": concat("", ["spiffe://cluster.local/ns/", account]),
}

test_named if {
	authz.allow with input as tallygate.request(connection("shop/sa/orders", "5432"))
	authz.allow with input as tallygate.request(connection("ops/sa/backup", "5432"))
}

test_others if {
	not authz.allow with input as tallygate.request(connection("shop/sa/front", "5432"))
	not authz.allow with input as tallygate.request(connection("shop/sa/orders", "22"))
	not authz.allow with input as tallygate.request({"tcp": true, "destination": "10.0.0.9:5432"})
}

test_http if not authz.allow with input as tallygate.request(object.union(connection("shop/sa/orders", "5432"), {"tcp": false}))
