# Rules over attributes, as data: who may do what to which order depends on the
# caller's team and clearance, which the directory (data.people) has by principal.
package envoy.authz

import data.tallygate.abac

default allow := {"allowed": false, "reason": "no rule allows this, or one denies it"}

allow := {"allowed": true} if abac.allowed(data.rules, attributes)

attributes := {
	"action": {"GET": "read", "HEAD": "read"}[method],
	"subject": data.people[input.attributes.source.principal],
	"resource": data.areas[input.parsed_path[0]],
} if method in {"GET", "HEAD"}

attributes := {
	"action": "write",
	"subject": data.people[input.attributes.source.principal],
	"resource": data.areas[input.parsed_path[0]],
} if not method in {"GET", "HEAD"}

method := input.attributes.request.http.method
