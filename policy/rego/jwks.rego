# METADATA
# title: Keys of issuers
# description: |
#   Keys fetched from an issuer. http.send must be permitted (policy.http_send.hosts),
#   and as keys change by themselves, the policy states a TTL for its decisions. Where
#   keys can be data, as in a bundle, nothing of this is needed.
package tallygate.jwks

# keys gives the issuer's keys for a token. They are fetched again after five
# minutes, and at most every ten seconds for a token whose key is not among them:
# that is how a new key is taken up.
keys(url, token) := known if {
	[header, _, _] := io.jwt.decode(token)
	known := fetched(url, 300)
	some key in known.keys
	key.kid == header.kid
} else := fetched(url, 10)

fetched(url, seconds) := response.body if {
	response := http.send({
		"method": "GET", "url": url, "timeout": "2s", "raise_error": false, "max_retry_attempts": 1,
		"force_json_decode": true, "force_cache": true, "force_cache_duration_seconds": seconds,
	})
	response.status_code == 200
	is_array(response.body.keys)
}
