package tallygate.istio_test

import data.tallygate
import data.tallygate.istio

request := {
	"http": true, "principal": "cluster.local/ns/shop/sa/front", "namespace": "shop", "service_account": "shop/front",
	"request_principal": "issuer/alice", "source_ip": "10.1.2.3", "remote_ip": "9.9.9.9", "destination_ip": "10.2.0.1",
	"destination_port": "8080", "method": "GET", "path": "/orders/7", "host": "Orders.shop", "sni": "",
	"headers": {"x-team": "blue"}, "claims": {"aud": ["a", "b"], "azp": "app", "groups": ["admin"], "nested": {"key": "v"}},
}

tcp := {"http": false, "principal": "cluster.local/ns/shop/sa/front", "namespace": "shop", "service_account": "shop/front", "destination_port": "9000"}

policy(act, rules) := {"metadata": {"name": lower(act), "namespace": "shop"}, "spec": {"action": act, "rules": rules}}

from(source) := [{"from": [{"source": source}]}]

to(operation) := [{"to": [{"operation": operation}]}]

when(condition) := [{"when": [condition]}]

allows(rules) if istio.decide([policy("ALLOW", rules)], request).allowed

test_sources if {
	every s in [
		{"principals": ["cluster.local/ns/shop/sa/front"]}, {"principals": ["*/sa/front"]}, {"principals": ["cluster.local/*"]},
		{"principals": ["*"]}, {"notPrincipals": ["cluster.local/ns/other/*"]}, {"namespaces": ["shop"]}, {"notNamespaces": ["dev"]},
		{"serviceAccounts": ["shop/front"]}, {"notServiceAccounts": ["shop/back"]}, {"requestPrincipals": ["issuer/*"]},
		{"requestPrincipals": ["*"]}, {"notRequestPrincipals": ["other/*"]}, {"ipBlocks": ["10.0.0.0/8"]}, {"ipBlocks": ["10.1.2.3"]},
		{"notIpBlocks": ["192.168.0.0/16"]}, {"remoteIpBlocks": ["9.9.9.0/24"]}, {"notRemoteIpBlocks": ["8.0.0.0/8"]},
		{"namespaces": ["other", "shop"], "principals": ["*"]}, {},
	] {
		allows(from(s))
	}
	every s in [
		{"principals": ["cluster.local/ns/shop/sa/fron"]}, {"principals": []}, {"notPrincipals": ["*"]}, {"namespaces": ["sho"]},
		{"notNamespaces": ["s*"]}, {"serviceAccounts": ["other/front"]}, {"requestPrincipals": ["other/*"]},
		{"ipBlocks": ["192.168.0.0/16"]}, {"notIpBlocks": ["10.0.0.0/8"]}, {"remoteIpBlocks": ["10.0.0.0/8"]},
		{"namespaces": ["shop"], "ipBlocks": ["192.168.0.0/16"]},
	] {
		not allows(from(s))
	}
}

test_operations if {
	every o in [
		{"methods": ["POST", "GET"]}, {"notMethods": ["POST"]}, {"paths": ["/orders/*"]}, {"paths": ["/orders/7"]}, {"paths": ["*/7"]},
		{"paths": ["/orders/{*}"]}, {"paths": ["/{**}"]}, {"paths": ["/{*}/7"]}, {"notPaths": ["/admin*"]}, {"hosts": ["orders.shop"]}, {"hosts": ["*.SHOP"]},
		{"notHosts": ["carts.shop"]}, {"ports": ["8080"]}, {"notPorts": ["9090"]}, {"methods": ["GET"], "paths": ["/orders/*"], "ports": ["8080"]},
	] {
		allows(to(o))
	}
	every o in [
		{"methods": ["POST"]}, {"notMethods": ["GET"]}, {"paths": ["/orders"]}, {"paths": ["/orders/{*}/x"]}, {"paths": ["/{*}"]},
		{"paths": ["/order.{*}"]}, {"notPaths": ["/orders/{*}"]}, {"hosts": ["shop"]}, {"ports": ["80"]}, {"methods": ["GET"], "ports": ["80"]},
	] {
		not allows(to(o))
	}
}

test_conditions if {
	every c in [
		{"key": "source.ip", "values": ["10.0.0.0/8"]}, {"key": "remote.ip", "values": ["9.9.9.9"]}, {"key": "source.namespace", "values": ["shop"]},
		{"key": "source.principal", "values": ["*/front"]}, {"key": "source.serviceAccount", "values": ["shop/front"]},
		{"key": "request.auth.principal", "values": ["issuer/alice"]}, {"key": "request.auth.audiences", "values": ["b"]},
		{"key": "request.auth.presenter", "values": ["app"]}, {"key": "destination.ip", "values": ["10.2.0.0/16"]},
		{"key": "destination.port", "values": ["8080"]}, {"key": "request.headers[X-Team]", "values": ["bl*"]},
		{"key": "request.auth.claims[groups]", "values": ["admin"]}, {"key": "request.auth.claims[nested][key]", "values": ["v"]},
		{"key": "request.headers[x-other]", "notValues": ["*"]}, {"key": "request.headers[x-team]", "values": ["*"], "notValues": ["red"]},
		{"key": "connection.sni", "notValues": ["*"]},
	] {
		allows(when(c))
	}
	every c in [
		{"key": "request.headers[x-team]", "values": ["red"]}, {"key": "request.headers[x-other]", "values": ["*"]},
		{"key": "request.headers[x-team]", "values": ["*"], "notValues": ["blue"]}, {"key": "request.auth.claims[none]", "values": ["*"]},
		{"key": "connection.sni", "values": ["*"]}, {"key": "no.such.key", "notValues": ["x"]}, {"key": "no.such.key", "values": ["x"]},
	] {
		not allows(when(c))
	}
}

test_order if {
	all := [{}]
	istio.decide([], request) == {"allowed": true, "reason": "there is no ALLOW policy", "audited": set()}
	not istio.decide([policy("ALLOW", [])], request).allowed
	not istio.decide([{"metadata": {"name": "nothing", "namespace": "shop"}, "spec": {}}], request).allowed
	istio.decide([policy("DENY", [])], request).allowed
	istio.decide([policy("ALLOW", all)], request).reason == "allowed by shop/allow"
	istio.decide([policy("ALLOW", all), policy("DENY", all)], request) == {"allowed": false, "reason": "denied by shop/deny", "audited": set()}
	istio.decide([policy("AUDIT", all)], request) == {"allowed": true, "reason": "there is no ALLOW policy", "audited": {"shop/audit"}}
	not istio.decide([policy("ALLOW", to({"methods": ["POST"]})), policy("AUDIT", all)], request).allowed
}

# Several sources are alternatives, and so are several rules; from, to and when of
# one rule must all hold.
test_alternatives if {
	one := {"source": {"namespaces": ["dev"]}}
	two := {"source": {"namespaces": ["shop"]}}
	allows([{"from": [one, two]}])
	allows([{"from": [one]}, {"from": [two]}])
	not allows([{"from": [two], "to": [{"operation": {"methods": ["POST"]}}]}])
	not allows([{"from": [two], "when": [{"key": "destination.port", "values": ["80"]}]}])
	not allows([{"from": []}])
}

test_for_workload if {
	p := [
		{"metadata": {"name": "a", "namespace": "shop"}, "spec": {}},
		{"metadata": {"name": "b", "namespace": "shop"}, "spec": {"selector": {"matchLabels": {"app": "orders"}}}},
		{"metadata": {"name": "c", "namespace": "shop"}, "spec": {"selector": {"matchLabels": {"app": "carts"}}}},
		{"metadata": {"name": "d", "namespace": "dev"}, "spec": {}},
		{"metadata": {"name": "e", "namespace": "istio-system"}, "spec": {}},
	]
	{x.metadata.name | some x in istio.for_workload(p, {"namespace": "shop", "labels": {"app": "orders", "v": "1"}})} == {"a", "b", "e"}
	{x.metadata.name | some x in istio.for_workload(p, {"namespace": "dev", "labels": {}, "root_namespace": "root"})} == {"d"}
}

test_missing if {
	needs := [policy("ALLOW", array.concat(from({"ipBlocks": ["10.0.0.0/8"]}), when({"key": "request.headers[x-team]", "values": ["x"]})))]
	given := object.remove(request, ["source_ip", "headers"])
	d := istio.decide(needs, given)
	not d.allowed
	d.reason == "shop/allow needs attributes that were not handed over: headers.x-team, source_ip"
	istio.missing([policy("DENY", from({"colour": ["red"]}))], request) == {"shop/deny": {"colour"}}
	istio.missing([policy("DENY", from({"serviceAccounts": ["front"]}))], request) == {"shop/deny": {"service_account without its namespace"}}
	istio.missing([policy("DENY", when({"key": "source.serviceAccount", "notValues": ["front"]}))], request) == {"shop/deny": {"service_account without its namespace"}}
	istio.missing([policy("DENY", when({"key": "no.such", "values": []}))], request) == {"shop/deny": {"no.such"}}
	istio.missing([policy("DENY", from({"notPrincipals": ["x"]}))], request) == {}
}

# As Istio does for ports that are not HTTP.
test_tcp if {
	istio.decide([policy("ALLOW", to({"ports": ["9000"]}))], tcp).allowed
	not istio.decide([policy("ALLOW", to({"ports": ["9000"], "methods": ["GET"]}))], tcp).allowed
	not istio.decide([policy("ALLOW", to({"notMethods": ["GET"]}))], tcp).allowed
	not istio.decide([policy("DENY", to({"methods": ["GET"]}))], tcp).allowed
	not istio.decide([policy("DENY", to({"notMethods": ["GET"]}))], tcp).allowed
	istio.decide([policy("DENY", to({"methods": ["GET"], "ports": ["9001"]}))], tcp).allowed
}

test_attributes if {
	a := istio.attributes with input as tallygate.request({
		"method": "PUT", "path": "/a/b?c=d", "host": "h", "principal": "spiffe://td/ns/shop/sa/front", "destination": "10.0.0.1:8080",
	})
	a == {
		"http": true, "method": "PUT", "path": "/a/b", "host": "h", "destination_port": "8080",
		"principal": "td/ns/shop/sa/front", "namespace": "shop", "service_account": "shop/front",
	}
	b := istio.attributes with input as tallygate.request({"tcp": true})
	b == {"http": false, "destination_port": "8080", "principal": "", "namespace": "", "service_account": ""}
}
