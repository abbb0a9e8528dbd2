# Who may do how much: a limit by plan for each customer, one for all together,
# and one that is only watched. The plans are data.
package envoy.authz

default allow := {"allowed": false, "reason": "who is it for? x-customer is missing"}

allow := {
	"allowed": true,
	"quotas": [
		object.union(plan, {"name": "per-customer", "key": customer, "cost": cost}),
		# The upstream stands so much, whoever asks. Without Redis let nobody through
		# rather than too many.
		{"name": "orders", "limit": 2000, "per": "1s", "on_error": "deny"},
		# What would a limit on writes do? tallygate_quota_charges_total{result="shadow_over"}
		{"name": "writes", "key": customer, "limit": 10, "per": "1s", "cost": writes, "shadow": true},
	],
	"quota_denied": {"body": concat("", ["The plan of ", customer, " is used up.\n"])},
}

http := input.attributes.request.http

customer := http.headers["x-customer"]

plan := data.plans[object.get(data.customers, customer, "free")]

default writes := 1

writes := 0 if http.method == "GET"

# A search costs the upstream as much as ten other requests.
default cost := 1

cost := 10 if input.parsed_path[0] == "search"
