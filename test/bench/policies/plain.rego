package envoy.authz

allow := {"allowed": true, "reason": input.attributes.request.http.path}
