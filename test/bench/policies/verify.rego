package envoy.authz

# METADATA
# entrypoint: true
# custom: {tallygate: {cache: {ttl: 1m}}}
allow if {
	[_, token] := split(input.attributes.request.http.headers.authorization, " ")
	[valid, _, payload] := io.jwt.decode_verify(token, {"secret": data.secret, "alg": "HS256"})
	valid
	payload.group == "readers"
}
