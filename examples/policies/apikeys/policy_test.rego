package envoy.authz_test

import data.envoy.authz
import data.tallygate

with_key(key, method) := tallygate.request({"method": method, "headers": {"x-api-key": key, "x-tenant": "somebody-else"}})

test_tenant if {
	result := authz.allow with input as with_key("example-key-of-acme", "DELETE")
	result.allowed
	result.headers == {"x-tenant": "acme", "x-plan": "full"}
	result.request_headers_to_remove == ["x-api-key"]
}

test_plan if {
	authz.allow.allowed with input as with_key("example-key-of-initech", "GET")
	authz.allow.http_status == 403 with input as with_key("example-key-of-initech", "POST")
}

test_unknown if {
	authz.allow.http_status == 401 with input as with_key("guess", "GET")
	authz.allow.http_status == 401 with input as tallygate.request({})
}
