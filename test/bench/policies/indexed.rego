package envoy.authz

# The same rules by principal.
default allow := false

allow if {
	some rule in data.by_principal[input.attributes.source.principal]
	rule.method == input.attributes.request.http.method
	startswith(input.attributes.request.http.path, rule.prefix)
	claims.group == rule.group
}

claims := payload if {
	[_, token] := split(input.attributes.request.http.headers.authorization, " ")
	[_, payload, _] := io.jwt.decode(token)
}
