# A policy on trial: it would deny large answers, too.
package envoy.authz

default allow := true

allow := false if startswith(input.attributes.request.http.path, "/admin")

allow := false if startswith(input.attributes.request.http.path, "/bytes")
