package envoy.authz_test

import data.envoy.authz
import data.tallygate

via_proxy(forwarded, path) := tallygate.request({"source": "10.0.0.7:4711", "headers": {"x-forwarded-for": forwarded}, "path": path})

test_public if authz.allow.allowed with input as via_proxy("203.0.113.8", "/")

test_admin if {
	authz.allow.allowed with input as via_proxy("192.0.2.9", "/admin/users")
	authz.allow.allowed with input as via_proxy("2001:db8:1::5", "/admin")
	not authz.allow.allowed with input as via_proxy("203.0.113.8", "/admin")
}

test_blocked if {
	not authz.allow.allowed with input as via_proxy("198.51.100.9", "/")
	not authz.allow.allowed with input as via_proxy("203.0.113.7", "/")
}

test_claims_of_clients if {
	not authz.allow.allowed with input as via_proxy("192.0.2.9, 203.0.113.8", "/admin")
	not authz.allow.allowed with input as tallygate.request({"source": "203.0.113.8:1", "headers": {"x-forwarded-for": "192.0.2.9"}, "path": "/admin"})
}

test_unknown if not authz.allow.allowed with input as tallygate.request({"source": "10.0.0.7:1", "path": "/"})
