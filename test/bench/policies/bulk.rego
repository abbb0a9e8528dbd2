package envoy.authz

# Who may do something is in a large document, by name.
default allow := false

allow if {
	"reader" in data.bulk[claims.sub].roles
	some rule in data.by_principal[input.attributes.source.principal]
	rule.method == input.attributes.request.http.method
	startswith(input.attributes.request.http.path, rule.prefix)
}

claims := payload if {
	[_, token] := split(input.attributes.request.http.headers.authorization, " ")
	[_, payload, _] := io.jwt.decode(token)
}
