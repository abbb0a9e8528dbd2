# What the demo's sidecars ask before a request reaches an application.
package envoy.authz

# Counted by who calls, and on trial: nothing is refused yet.
default allow := {"allowed": true, "quotas": [{"name": "strangers", "key": "all", "limit": 2, "per": "1s", "shadow": true}]}

allow := {"allowed": true, "quotas": [{"name": "per-caller", "key": caller, "limit": 60, "per": "1s", "shadow": true}]} if {
	caller := input.attributes.source.principal
	not startswith(input.attributes.request.http.path, "/admin")
}

allow := false if startswith(input.attributes.request.http.path, "/admin")
