# METADATA
# title: Istio's AuthorizationPolicy
# description: |
#   Istio's semantics over policies in their own shape, as data: DENY before
#   ALLOW, no ALLOW policy at all allows, AUDIT only marks. Attributes of a request
#   are handed over by name, so that only those that the policies need are read:
#
#     principal, namespace, service_account (<namespace>/<name>)  of the caller
#     request_principal (<issuer>/<subject>), claims              of its token
#     source_ip, remote_ip, destination_ip, destination_port
#     method, path, host, headers, sni
#
#   A policy that asks for one that was not handed over can not be judged, and what
#   it bears on is denied. Custom actions are left to who they name.
package tallygate.istio

import data.tallygate.spiffe

# attributes are what most policies need, of the request at hand.
attributes := object.union_n([
	{"http": is_http},
	{"principal": trim_prefix(principal, "spiffe://")},
	{"namespace": object.get(peer, "namespace", ""), "service_account": account},
	{"destination_port": format_int(input.attributes.destination.address.socketAddress.portValue, 10)},
	http,
])

default is_http := false

is_http if input.attributes.request.http.method != ""

default principal := ""

principal := input.attributes.source.principal

default peer := {}

peer := spiffe.peer

default account := ""

account := concat("/", [peer.namespace, peer.service_account])

default http := {}

http := {
	"method": input.attributes.request.http.method,
	"path": concat("/", array.concat([""], input.parsed_path)),
	"host": input.attributes.request.http.host,
}

# decide judges by all policies: {"allowed", "reason", "audited"}. policies is a list
# of AuthorizationPolicy objects, of which for_workload picks those that apply.
decide(policies, request) := judge(prepare(policies), request)

# judge is decide by what prepare made of the policies.
judge(prepared, request) := {"allowed": allowed, "reason": reason, "audited": audited} if {
	[allowed, reason] := verdict(prepared, request)
	audited := matching(prepared, "AUDIT", request)
}

verdict(prepared, request) := [false, sprintf("%s needs attributes that were not handed over: %s", [name, concat(", ", sort(names))])] if {
	unknown := unhanded(prepared, request)
	name := min(object.keys(unknown))
	names := unknown[name]
} else := [false, sprintf("denied by %s", [min(denying)])] if {
	denying := matching(prepared, "DENY", request)
	count(denying) > 0
} else := [true, "there is no ALLOW policy"] if {
	count(prepared.by_action.ALLOW) == 0
} else := [true, sprintf("allowed by %s", [min(allowing)])] if {
	allowing := matching(prepared, "ALLOW", request)
	count(allowing) > 0
} else := [false, "no ALLOW policy matches"]

# for_workload picks the policies of a workload: those of its namespace and of the
# root namespace, whose selector its labels satisfy.
for_workload(policies, workload) := [p |
	some p in policies
	p.metadata.namespace in {workload.namespace, object.get(workload, "root_namespace", "istio-system")}
	every key, value in object.get(p, ["spec", "selector", "matchLabels"], {}) {
		workload.labels[key] == value
	}
]

# prepare makes of policies what does not rest on the request. Given to a rule of
# its own, it is worked out once, when policies and data are loaded:
#
#   prepared := istio.prepare(istio.for_workload(data.policies, data.workload))
#   decision := istio.judge(prepared, istio.attributes)
prepare(policies) := {
	"by_action": {act: [{"name": name(p), "rules": [prepared_rule(rule) | some rule in object.get(p, ["spec", "rules"], [])]} |
		some p in policies
		action(p) == act
	] |
		some act in ["DENY", "ALLOW", "AUDIT"]
	},
	"asked": [[name(p), asked(p)] | some p in policies],
}

# A prepared rule has the alternatives of from and of to, if it has any, and what
# holds when.
prepared_rule(rule) := {
	"any_of": [[[field_test(field, values) | some field, values in object.get(one, inner, {})] | some one in rule[key]] |
		some key, inner in {"from": "source", "to": "operation"}
		rule[key]
	],
	"when": [t | some condition in object.get(rule, "when", []); some t in condition_tests(condition)],
}

field_test(field, values) := test(named(field), values, startswith(field, "not")) if attribute_of(bare(field))

field_test(field, _) := never if not attribute_of(bare(field))

condition_tests(condition) := [test(attribute_of_key(condition.key), condition[key], negated) |
	some key, negated in {"values": false, "notValues": true}
	condition[key]
] if {
	attribute_of_key(condition.key)
}

condition_tests(condition) := [never | some key in ["values", "notValues"]; condition[key]] if not attribute_of_key(condition.key)

test(attribute, values, negated) := {
	"attribute": attribute, "match": matcher(attribute[0], values), "negated": negated,
	"http": attribute[0] in http_only,
}

never := test(["?"], [], false)

# matching are the names of the policies of an action that match.
matching(prepared, act, request) := {p.name |
	some p in prepared.by_action[act]
	some rule in p.rules
	every alternatives in rule.any_of {
		some tests in alternatives
		all_pass(tests, act, request)
	}
	all_pass(rule.when, act, request)
}

all_pass(tests, act, request) if {
	every t in tests { passes(t, act, request) }
}

action(p) := object.get(p, ["spec", "action"], "ALLOW")

name(p) := concat("/", [object.get(p, ["metadata", "namespace"], "default"), object.get(p, ["metadata", "name"], "?")])

# positive is notMethods → methods.
positive(field) := concat("", [lower(substring(field, 3, 1)), substring(field, 4, -1)])

# What only HTTP has is passed over where a rule denies a TCP connection, and
# matches never where one allows it: as Istio does, the stricter way each time.
passes(t, act, request) if {
	t.http
	request.http == false
	act == "DENY"
} else := false if {
	t.http
	request.http == false
} else if {
	not t.negated
	some have in have_of(t.attribute, request)
	hit(t.match, have)
} else if {
	t.negated
	every have in have_of(t.attribute, request) { not hit(t.match, have) }
}

http_only := {"method", "path", "host", "headers", "claims", "request_principal", "remote_ip"}

# have_of are the values of an attribute: none if the request has none.
have_of(attribute, request) := [v | some v in listed(object.get(request, attribute, null)); v != ""] if attribute[0] != "host"

have_of(["host"], request) := [lower(v) | some v in listed(object.get(request, "host", null)); v != ""]

listed(value) := value if is_array(value)

listed(value) := [value] if {
	not is_array(value)
	value != null
}

listed(null) := []

attribute_of(field) := {
	"principals": ["principal"], "requestPrincipals": ["request_principal"], "namespaces": ["namespace"],
	"serviceAccounts": ["service_account"], "ipBlocks": ["source_ip"], "remoteIpBlocks": ["remote_ip"],
	"hosts": ["host"], "ports": ["destination_port"], "methods": ["method"], "paths": ["path"],
}[field]

attribute_of_key(key) := {
	"source.ip": ["source_ip"], "remote.ip": ["remote_ip"], "source.namespace": ["namespace"],
	"source.principal": ["principal"], "source.serviceAccount": ["service_account"],
	"request.auth.principal": ["request_principal"], "request.auth.audiences": ["claims", "aud"],
	"request.auth.presenter": ["claims", "azp"], "destination.ip": ["destination_ip"],
	"destination.port": ["destination_port"], "connection.sni": ["sni"],
}[key]

attribute_of_key(key) := ["headers", lower(found[0][1])] if {
	found := regex.find_all_string_submatch_n(`^request\.headers\[([^\]]+)\]$`, key, 1)
	count(found) > 0
}

attribute_of_key(key) := array.concat(["claims"], names) if {
	startswith(key, "request.auth.claims[")
	names := [m[1] | some m in regex.find_all_string_submatch_n(`\[([^\]]+)\]`, key, -1)]
}

# matcher is how Istio compares: exactly, by prefix (abc*), by suffix (*abc), or by
# being there (*); addresses by network, hosts without regard to case, paths also
# by {*} for one segment and {**} for the rest.
matcher(kind, values) := {"networks": {v | some v in values; contains(v, "/")}, "exact": {v | some v in values}} if kind in addresses

matcher(kind, values) := {
	"exact": texts,
	"prefixes": [trim_suffix(v, "*") | some v in texts; endswith(v, "*")],
	"suffixes": [trim_prefix(v, "*") | some v in texts; startswith(v, "*")],
	"patterns": [template_regex(v) | some v in values; templated(kind, v)],
} if {
	not kind in addresses
	texts := {folded(kind, v) | some v in values; not templated(kind, v)}
}

addresses := {"source_ip", "remote_ip", "destination_ip"}

folded("host", v) := lower(v)

folded(kind, v) := v if kind != "host"

templated("path", want) if contains(want, "{*")

template_regex(want) := concat("", ["^", expanded, "$"]) if {
	quoted := regex.replace(want, `[.+?^$()|\[\]\\]`, `\$0`)
	expanded := replace(replace(quoted, "{**}", "(.*)"), "{*}", "([^/]+)")
}

hit(match, have) if have in match.exact

hit(match, have) if strings.any_prefix_match(have, match.prefixes)

hit(match, have) if strings.any_suffix_match(have, match.suffixes)

hit(match, have) if {
	some pattern in match.patterns
	regex.match(pattern, have)
}

hit(match, have) if {
	some network in match.networks
	net.cidr_contains(network, have)
}

unhanded(prepared, request) := {name: names |
	some [name, wanted] in prepared.asked
	names := {concat(".", a) | some a in wanted; not handed(a, request)}
	count(names) > 0
}

# missing are the attributes that policies ask for and the request has no key
# for, by policy.
missing(policies, request) := unhanded(prepare(policies), request)

asked(p) := {a |
	some rule in object.get(p, ["spec", "rules"], [])
	some a in asked_by(rule)
}

asked_by(rule) := {named(field) |
	some key, inner in {"from": "source", "to": "operation"}
	some one in object.get(rule, key, [])
	some field, _ in object.get(one, inner, {})
} | {["service_account without its namespace"] |
	some one in object.get(rule, "from", [])
	some field, values in object.get(one, "source", {})
	bare_account(field, values)
} | {["service_account without its namespace"] |
	some condition in object.get(rule, "when", [])
	condition.key == "source.serviceAccount"
	some v in array.concat(object.get(condition, "values", []), object.get(condition, "notValues", []))
	not contains(v, "/")
} | {keyed(condition.key) | some condition in object.get(rule, "when", [])}

named(field) := attribute_of(bare(field))

named(field) := [field] if not attribute_of(bare(field))

# Istio takes the policy's own namespace for such a one; here it is to be written.
bare_account(field, values) if {
	bare(field) == "serviceAccounts"
	some v in values
	not contains(v, "/")
}

bare(field) := positive(field) if startswith(field, "not")

bare(field) := field if not startswith(field, "not")

keyed(key) := attribute_of_key(key)

keyed(key) := [key] if not attribute_of_key(key)

# Of headers and claims it is enough that they were handed over at all.
handed(attribute, request) if object.get(request, attribute[0], null) != null

handed(attribute, request) if {
	request.http == false
	attribute[0] in http_only
}
