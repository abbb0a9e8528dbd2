package envoy.authz_test

import data.envoy.authz
import data.tallygate

token(claims) := io.jwt.encode_sign(
	{"alg": "HS256"},
	object.union({"iss": "https://issuer.example", "aud": "shop", "exp": 4000000000}, claims),
	{"kty": "oct", "k": base64url.encode_no_pad(data.issuer.secret)},
)

request(method, path, claims) := tallygate.request({
	"method": method, "path": path,
	"headers": {"authorization": concat(" ", ["Bearer", token(claims)])},
})

test_catalogue if {
	authz.allow.allowed with input as tallygate.request({"path": "/catalogue/shoes?page=2"})
	not authz.allow.allowed with input as tallygate.request({"path": "/catalogue/shoes", "method": "DELETE"})
}

test_own if {
	authz.allow.allowed with input as request("GET", "/users/alice/orders", {"sub": "alice"})
	authz.allow.allowed with input as request("PUT", "/users/alice", {"sub": "alice"})
	not authz.allow.allowed with input as request("GET", "/users/bob/orders", {"sub": "alice"})
}

test_support if {
	result := authz.allow with input as request("GET", "/users/bob/orders", {"sub": "sue", "groups": ["support"]})
	result.dynamic_metadata.as == "support"
	not authz.allow.allowed with input as request("PUT", "/users/bob", {"sub": "sue", "groups": ["support"]})
	not authz.allow.allowed with input as request("GET", "/admin", {"sub": "sue", "groups": ["support"]})
}

test_no_token if not authz.allow.allowed with input as tallygate.request({"path": "/users/alice"})
