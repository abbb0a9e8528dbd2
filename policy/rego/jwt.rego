# METADATA
# title: Tokens
# description: |
#   JSON Web Tokens. Decisions are kept no longer than the token they rest on is
#   valid, so they may be cached.
package tallygate.jwt

# bearer is the token of the authorization header.
bearer := token if {
	[scheme, token] := split(input.attributes.request.http.headers.authorization, " ")
	lower(scheme) == "bearer"
}

# verified gives the claims of a token; undefined unless its signature, issuer,
# audience and times are good. options:
#
#   issuer      who must have issued it; needed
#   audience    whom it must be for; needed if the token has one
#   jwks        the issuer's keys: an object with keys, or its JSON. Several keys
#               may be there, so that a new one can be added before the old one goes
#   secret      instead of jwks, for HS256, HS384 and HS512
#   algorithms  allowed; if none are given, all that suit jwks or secret
#
# A token without exp is refused: it would be good for ever.
verified(token, options) := claims if {
	[header, _, _] := io.jwt.decode(token)
	header.alg in allowed(options)
	[valid, _, claims] := io.jwt.decode_verify(token, constraints(options))
	valid
	is_number(claims.exp)
}

# verified_by is verified with the options of the token's issuer, which issuers
# has by name.
verified_by(token, issuers) := verified(token, object.union(issuers[payload.iss], {"issuer": payload.iss})) if {
	[_, payload, _] := io.jwt.decode(token)
}

# A secret is never tried on what asks for a key, nor a key on what asks for a
# secret.
allowed(options) := {a | some a in options.algorithms; suits(options, a)} if options.algorithms

allowed(options) := {a |
	some a in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"]
	suits(options, a)
} if not options.algorithms

suits(options, alg) if {
	options.secret
	not options.jwks
	startswith(alg, "HS")
}

suits(options, alg) if {
	options.jwks
	not options.secret
	not startswith(alg, "HS")
}

constraints(options) := object.union_n([
	{"iss": options.issuer},
	{"aud": a | a := options.audience},
	{"secret": s | s := options.secret},
	{"cert": keys(options.jwks) | options.jwks},
])

keys(jwks) := jwks if is_string(jwks)

keys(jwks) := json.marshal(jwks) if is_object(jwks)

# scopes are what claims grant: scope as a text, scp as a list or a text.
scopes(claims) := {s | some s in split(object.get(claims, "scope", ""), " "); s != ""} |
	{s | is_array(claims.scp); some s in claims.scp} |
	{s | is_string(claims.scp); some s in split(claims.scp, " "); s != ""}
