# A bearer token of our issuer, verified, with the scope that the method needs. A
# decision is kept no longer than the token it rests on is valid.
package envoy.authz

import data.tallygate.jwt

default allow := {"allowed": false, "http_status": 401, "headers": {"www-authenticate": "Bearer"}}

allow := {"allowed": true, "headers": {"x-user": claims.sub}, "request_headers_to_remove": ["authorization"]} if granted

# Who the caller is is known; what he wants is not his to have.
allow := {"allowed": false, "http_status": 403, "reason": "the token lacks the scope"} if {
	claims
	not granted
}

granted if needed[input.attributes.request.http.method] in jwt.scopes(claims)

needed := {"GET": "read", "HEAD": "read", "POST": "write", "PUT": "write", "DELETE": "write"}

claims := jwt.verified(jwt.bearer, data.issuer)
