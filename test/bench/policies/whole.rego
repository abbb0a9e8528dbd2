package envoy.authz

# The same, and how many there are: no member can be looked up without the others.
default allow := false

allow if {
	count(data.bulk) > 1000
	"reader" in data.bulk[claims.sub].roles
	some rule in data.by_principal[input.attributes.source.principal]
	rule.method == input.attributes.request.http.method
	startswith(input.attributes.request.http.path, rule.prefix)
}

claims := payload if {
	[_, token] := split(input.attributes.request.http.headers.authorization, " ")
	[_, payload, _] := io.jwt.decode(token)
}
