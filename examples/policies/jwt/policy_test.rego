package envoy.authz_test

import data.envoy.authz
import data.tallygate

# The private halves of the keys in data.json, made for this example only.
private := {
	"2026-01": {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "2026-01", "x": "9eDhyvUW3OgWTVnUdqzZKbEI30oP_FnhRginehgz9fY", "y": "SBP6TNX5rL8oqxtkCgp65MRQY_cGPu7BZ558gzTp9_k", "d": "RD_U6iVN9zS4ksstKT25uHjY00f5BhCjJ6FWjyGlOgE"},
	"2026-07": {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "2026-07", "x": "1i46phXv8bYN2-6a3eb2G5GrlApzuVNYsGIMaKdqUOY", "y": "NVA48KOp5OLNyp7v7S897tQxARi5YUDnzOTZjRGXF6k", "d": "s9A8rULIPptYJent8zDsAdxySUrjgIuL7lL5UaePAwQ"},
}

good := {"iss": "https://issuer.example", "aud": "shop", "sub": "alice", "scope": "read", "exp": 4000000000}

request(method, kid, claims) := tallygate.request({
	"method": method,
	"headers": {"authorization": concat(" ", ["Bearer", io.jwt.encode_sign({"alg": "ES256", "kid": kid}, claims, private[kid])])},
})

test_reads if {
	result := authz.allow with input as request("GET", "2026-01", good)
	result.allowed
	result.headers["x-user"] == "alice"
}

test_next_key if authz.allow.allowed with input as request("GET", "2026-07", good)

test_does_not_write if authz.allow.http_status == 403 with input as request("POST", "2026-01", good)

test_expired if authz.allow.http_status == 401 with input as request("GET", "2026-01", object.union(good, {"exp": 1000000000}))

test_other_audience if authz.allow.http_status == 401 with input as request("GET", "2026-01", object.union(good, {"aud": "bank"}))

test_forged if {
	result := authz.allow with input as tallygate.request({"headers": {"authorization": concat(" ", ["Bearer", io.jwt.encode_sign(
		{"alg": "ES256", "kid": "2026-01"},
		good, private["2026-07"],
	)])}})
	result.http_status == 401
}

test_none if authz.allow.http_status == 401 with input as tallygate.request({})
