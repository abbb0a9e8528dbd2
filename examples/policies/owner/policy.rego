# Everybody may read the catalogue; what is below /users/{id} is for that user, by
# a verified token, and for support.
package envoy.authz

import data.tallygate.jwt
import data.tallygate.path

default allow := {"allowed": false}

allow := {"allowed": true} if {
	path.safe(input.attributes.request.http.method)
	path.under("/catalogue", input.parsed_path)
}

allow := {"allowed": true} if path.params("/users/{id}/**", input.parsed_path).id == claims.sub

allow := {"allowed": true, "dynamic_metadata": {"as": "support"}} if {
	path.safe(input.attributes.request.http.method)
	path.matches("/users/{id}/**", input.parsed_path)
	path.params("/users/{id}/**", input.parsed_path).id != claims.sub
	"support" in claims.groups
}

claims := jwt.verified(jwt.bearer, data.issuer)
