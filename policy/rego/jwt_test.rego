package tallygate.jwt_test

import data.tallygate
import data.tallygate.jwt

secret := "a secret that is for tests only!"

claims := {"iss": "https://issuer.example", "aud": "shop", "sub": "alice", "exp": 4000000000}

options := {"issuer": "https://issuer.example", "audience": "shop", "secret": secret}

signed(payload) := io.jwt.encode_sign({"alg": "HS256"}, payload, {"kty": "oct", "k": base64url.encode_no_pad(secret)})

good if jwt.verified(signed(claims), options).sub == "alice"

test_good if good

test_refused if {
	every change in [{"exp": 1000}, {"nbf": 4000000000}, {"iss": "https://other.example"}, {"aud": "bank"}, {"aud": ["bank"]}] {
		not jwt.verified(signed(object.union(claims, change)), options)
	}
	not jwt.verified(signed(object.remove(claims, ["exp"])), options)
	not jwt.verified(signed(claims), object.union(options, {"secret": "another"}))
	not jwt.verified(signed(claims), object.remove(options, ["audience"]))
	not jwt.verified(signed(claims), object.remove(options, ["issuer"]))
	not jwt.verified(signed(claims), object.remove(options, ["secret"]))
	not jwt.verified("no.token.at all", options)
	not jwt.verified(concat(".", ["eyJhbGciOiJub25lIn0", split(signed(claims), ".")[1], ""]), options)
}

test_several_audiences if jwt.verified(signed(object.union(claims, {"aud": ["bank", "shop"]})), options)

test_algorithms if {
	jwt.verified(signed(claims), object.union(options, {"algorithms": ["HS256"]}))
	not jwt.verified(signed(claims), object.union(options, {"algorithms": ["HS512"]}))
	not jwt.verified(signed(claims), object.union(options, {"algorithms": ["RS256"]}))
}

# The public key is no secret: who signs with it must not pass.
test_key_as_secret if {
	not jwt.verified(signed(claims), {"issuer": claims.iss, "audience": "shop", "jwks": {"keys": [{"kty": "oct", "k": base64url.encode_no_pad(secret)}]}})
	not jwt.verified(signed(claims), object.union(options, {"jwks": keys(["old"])}))
}

# Made for these tests; they open nothing.
pairs := {
	"old": {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "old", "x": "9eDhyvUW3OgWTVnUdqzZKbEI30oP_FnhRginehgz9fY", "y": "SBP6TNX5rL8oqxtkCgp65MRQY_cGPu7BZ558gzTp9_k", "d": "RD_U6iVN9zS4ksstKT25uHjY00f5BhCjJ6FWjyGlOgE"},
	"new": {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "new", "x": "1i46phXv8bYN2-6a3eb2G5GrlApzuVNYsGIMaKdqUOY", "y": "NVA48KOp5OLNyp7v7S897tQxARi5YUDnzOTZjRGXF6k", "d": "s9A8rULIPptYJent8zDsAdxySUrjgIuL7lL5UaePAwQ"},
}

keys(kids) := {"keys": [object.remove(pairs[k], ["d"]) | some k in kids]}

by(kid) := io.jwt.encode_sign({"alg": "ES256", "kid": kid}, claims, pairs[kid])

# A key is rotated: the new one is added, tokens change over, the old one goes.
test_rotation if {
	o := object.remove(options, ["secret"])
	jwt.verified(by("old"), object.union(o, {"jwks": keys(["old"])}))
	jwt.verified(by("old"), object.union(o, {"jwks": keys(["old", "new"])}))
	jwt.verified(by("new"), object.union(o, {"jwks": json.marshal(keys(["old", "new"]))}))
	not jwt.verified(by("new"), object.union(o, {"jwks": keys(["old"])}))
	not jwt.verified(by("old"), object.union(o, {"jwks": keys(["new"])}))
}

test_verified_by if {
	issuers := {"https://issuer.example": {"audience": "shop", "secret": secret}, "https://other.example": {"audience": "shop", "secret": "another"}}
	jwt.verified_by(signed(claims), issuers).sub == "alice"
	not jwt.verified_by(signed(object.union(claims, {"iss": "https://other.example"})), issuers)
	not jwt.verified_by(signed(object.union(claims, {"iss": "https://unknown.example"})), issuers)
	not jwt.verified_by("x", issuers)
}

test_bearer if {
	jwt.bearer == "abc" with input as tallygate.request({"headers": {"Authorization": "Bearer abc"}})
	jwt.bearer == "abc" with input as tallygate.request({"headers": {"authorization": "bearer abc"}})
	not jwt.bearer with input as tallygate.request({"headers": {"authorization": "Basic abc"}})
	not jwt.bearer with input as tallygate.request({"headers": {"authorization": "Bearer a b"}})
	not jwt.bearer with input as tallygate.request({})
}

test_scopes if {
	jwt.scopes({"scope": "read write"}) == {"read", "write"}
	jwt.scopes({"scp": ["read"]}) == {"read"}
	jwt.scopes({"scp": "read write", "scope": ""}) == {"read", "write"}
	jwt.scopes({}) == set()
}
