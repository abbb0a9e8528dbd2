# API keys, of which data has only the digests. The upstream gets the tenant, never
# the key, and nothing that a client claims to be.
package envoy.authz

default allow := {"allowed": false, "http_status": 401, "body": "an API key is needed"}

allow := {
	"allowed": true,
	"headers": {"x-tenant": key.tenant, "x-plan": key.plan},
	"request_headers_to_remove": ["x-api-key"],
} if input.attributes.request.http.method in data.plans[key.plan].methods

allow := {"allowed": false, "http_status": 403, "body": "the plan does not include this"} if {
	not input.attributes.request.http.method in data.plans[key.plan].methods
}

key := data.keys[crypto.sha256(input.attributes.request.http.headers["x-api-key"])]
