package envoy.authz_test

import data.envoy.authz
import data.tallygate

from(account, method, path) := tallygate.request({
	"method": method, "path": path,
	"principal": concat("", ["spiffe://cluster.local/ns/", account]),
})

test_readers if {
	authz.allow.allowed with input as from("shop/sa/front", "GET", "/orders/7")
	not authz.allow.allowed with input as from("shop/sa/front", "POST", "/orders")
	not authz.allow.allowed with input as from("dev/sa/front", "GET", "/orders/7")
	not authz.allow.allowed with input as tallygate.request({"path": "/orders/7"})
}

test_writes_are_audited if {
	result := authz.allow with input as from("shop/sa/checkout", "POST", "/orders")
	result.allowed
	result.dynamic_metadata.audited == ["shop/writes"]
}

test_deny_wins if {
	result := authz.allow with input as from("shop/sa/front", "GET", "/orders/7/debug")
	result.reason == "denied by istio-system/no-admin"
}
