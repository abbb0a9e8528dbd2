# Which service account may call what: roles and their grants are data, so that
# who may do what changes without a change of Rego.
package envoy.authz

default allow := {"allowed": false, "reason": "no role of the caller grants this"}

allow := {"allowed": true} if {
	some role in data.rbac.roles[caller]
	some grant in data.rbac.grants[role]
	http.method in grant.methods
	grant.area == input.parsed_path[0]
}

http := input.attributes.request.http

# The client's certificate, not a header, says who calls.
caller := input.attributes.source.principal
