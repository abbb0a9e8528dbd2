package envoy.authz_test

import data.envoy.authz
import data.tallygate

request(method, account, path) := tallygate.request({
	"method": method, "path": path,
	"principal": concat("", ["spiffe://cluster.local/ns/", account]),
})

test_clearance_reads if {
	authz.allow.allowed with input as request("GET", "shop/sa/front", "/orders/7")
	not authz.allow.allowed with input as request("GET", "shop/sa/front", "/payments/7")
	authz.allow.allowed with input as request("GET", "ops/sa/audit", "/payments/7")
}

test_team_writes if {
	authz.allow.allowed with input as request("POST", "shop/sa/checkout", "/orders")
	not authz.allow.allowed with input as request("POST", "shop/sa/front", "/orders")
}

test_deny_wins if {
	people := {"spiffe://cluster.local/ns/ops/sa/audit": {"team": "orders", "clearance": 3, "read_only": true}}
	not authz.allow.allowed with input as request("POST", "ops/sa/audit", "/orders") with data.people as people
}

test_strangers if {
	not authz.allow.allowed with input as request("GET", "dev/sa/x", "/orders/7")
	not authz.allow.allowed with input as request("GET", "shop/sa/front", "/nothing")
	not authz.allow.allowed with input as tallygate.request({"path": "/orders/7"})
}
