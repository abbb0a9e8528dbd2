package envoy.authz

# One hundred rules as a list, tried one after the other, and a token's claims.
default allow := false

allow if {
	some rule in data.rules
	rule.principal == input.attributes.source.principal
	rule.method == input.attributes.request.http.method
	startswith(input.attributes.request.http.path, rule.prefix)
	claims.group == rule.group
}

claims := payload if {
	[_, token] := split(input.attributes.request.http.headers.authorization, " ")
	[_, payload, _] := io.jwt.decode(token)
}
