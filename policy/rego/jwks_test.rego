package tallygate.jwks_test

import data.tallygate.jwks

old := {"keys": [{"kid": "old"}]}

both := {"keys": [{"kid": "old"}, {"kid": "new"}]}

token(kid) := concat(".", [base64url.encode_no_pad(json.marshal({"alg": "ES256", "kid": kid})), "e30", "c2ln"])

# What five minutes of caching still have, and what a fresh look finds.
send(request) := {"status_code": 200, "body": old} if request.force_cache_duration_seconds == 300

send(request) := {"status_code": 200, "body": both} if request.force_cache_duration_seconds == 10

fails(_) := {"status_code": 503, "body": {"keys": []}}

nonsense(_) := {"status_code": 200, "body": "<html>"}

test_known_key if jwks.keys("https://issuer.example/keys", token("old")) == old with http.send as send

test_new_key if jwks.keys("https://issuer.example/keys", token("new")) == both with http.send as send

test_no_keys if {
	not jwks.keys("https://issuer.example/keys", token("old")) with http.send as fails
	not jwks.keys("https://issuer.example/keys", token("old")) with http.send as nonsense
}
