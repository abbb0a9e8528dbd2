package envoy.limits

user := input.descriptor.user

limit := {
	"allowed": true,
	"reason": user,
	"quotas": [{"name": "per-user", "key": user, "limit": 4000000000, "per": "1h", "algorithm": "fixed_window", "sync": true}],
}
