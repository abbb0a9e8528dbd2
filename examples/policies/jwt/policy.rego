# A bearer token of our issuer, verified, with the scope that the method needs.
# The decision is kept no longer than the token is valid; the annotation says for
# how long at most, because a verification reads the clock.
package envoy.authz

default allow := {"allowed": false, "http_status": 401, "headers": {"www-authenticate": "Bearer"}}

# METADATA
# custom: {tallygate: {cache: {ttl: 1m}}}
allow := {"allowed": true, "headers": {"x-user": claims.sub}, "request_headers_to_remove": ["authorization"]} if {
	needed[input.attributes.request.http.method] in split(claims.scope, " ")
}

needed := {"GET": "read", "HEAD": "read", "POST": "write", "PUT": "write", "DELETE": "write"}

claims := payload if {
	[scheme, token] := split(input.attributes.request.http.headers.authorization, " ")
	lower(scheme) == "bearer"
	[valid, _, payload] := io.jwt.decode_verify(token, {
		"secret": data.jwt.secret, # an asymmetric issuer: "cert": data.jwt.keys
		"alg": "HS256",
		"iss": data.jwt.issuer,
		"aud": data.jwt.audience,
	})
	valid
}
