package envoy.authz_test

import data.envoy.authz

token(claims, secret) := io.jwt.encode_sign({"alg": "HS256"}, claims, {"kty": "oct", "k": base64url.encode_no_pad(secret)})

good := {"iss": "https://issuer.example", "aud": "shop", "sub": "alice", "scope": "read", "exp": 4000000000}

request(method, bearer) := {"attributes": {"request": {"http": {"method": method, "headers": {"authorization": concat(" ", ["Bearer", bearer])}}}}}

test_reads if {
	result := authz.allow with input as request("GET", token(good, "for the example only"))
	result.allowed
	result.headers["x-user"] == "alice"
}

test_does_not_write if not authz.allow.allowed with input as request("POST", token(good, "for the example only"))

test_expired if {
	old := object.union(good, {"exp": 1000000000})
	not authz.allow.allowed with input as request("GET", token(old, "for the example only"))
}

test_other_audience if {
	other := object.union(good, {"aud": "bank"})
	not authz.allow.allowed with input as request("GET", token(other, "for the example only"))
}

test_forged if not authz.allow.allowed with input as request("GET", token(good, "another secret"))

test_none if authz.allow.http_status == 401 with input as {"attributes": {"request": {"http": {"method": "GET", "headers": {}}}}}
