package envoy.authz

path := input.attributes.request.http.path

allow := {
	"allowed": true,
	"reason": path,
	"quotas": [{"name": "per-path", "key": path, "limit": 1000000, "per": "1s"}],
}
