package envoy.authz

path := input.attributes.request.http.path

allow := {
	"allowed": true,
	"reason": path,
	"quotas": [
		{"name": "per-path", "key": path, "limit": 1000000, "per": "1s"},
		{"name": "per-caller", "key": ["caller", path], "limit": 1000000, "per": "1s", "burst": 2000000},
		{"name": "daily", "key": ["day", path], "limit": 100000000000, "per": "24h", "algorithm": "fixed_window"},
	],
}
