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

import data.tallygate.cidr
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
decide(policies, request) := {"allowed": allowed, "reason": reason, "audited": audited} if {
	[allowed, reason] := verdict(policies, request)
	audited := matching(policies, "AUDIT", request)
}

verdict(policies, request) := [false, sprintf("%s needs attributes that were not handed over: %s", [name, concat(", ", sort(names))])] if {
	unknown := missing(policies, request)
	name := min(object.keys(unknown))
	names := unknown[name]
} else := [false, sprintf("denied by %s", [min(denying)])] if {
	denying := matching(policies, "DENY", request)
	count(denying) > 0
} else := [true, "there is no ALLOW policy"] if {
	count([p | some p in policies; action(p) == "ALLOW"]) == 0
} else := [true, sprintf("allowed by %s", [min(allowing)])] if {
	allowing := matching(policies, "ALLOW", request)
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

# matching are the names of the policies of an action that match.
matching(policies, act, request) := {name(p) |
	some p in policies
	action(p) == act
	some rule in object.get(p, ["spec", "rules"], [])
	applies(rule, act, request)
}

action(p) := object.get(p, ["spec", "action"], "ALLOW")

name(p) := concat("/", [object.get(p, ["metadata", "namespace"], "default"), object.get(p, ["metadata", "name"], "?")])

# applies holds if from, to and when of a rule do, of which each may be absent.
applies(rule, act, request) if {
	any_of(rule, "from", "source", act, request)
	any_of(rule, "to", "operation", act, request)
	every condition in object.get(rule, "when", []) { condition_holds(condition, act, request) }
}

any_of(rule, key, _, _, _) if not rule[key]

any_of(rule, key, inner, act, request) if {
	some one in rule[key]
	every field, values in object.get(one, inner, {}) { field_holds(field, values, act, request) }
}

field_holds(field, values, act, request) if {
	not startswith(field, "not")
	holds(attribute_of(field), values, act, request)
}

field_holds(field, values, act, request) if {
	startswith(field, "not")
	excludes(attribute_of(positive(field)), values, act, request)
}

# positive is notMethods → methods.
positive(field) := concat("", [lower(substring(field, 3, 1)), substring(field, 4, -1)])

condition_holds(condition, act, request) if {
	positive_holds(condition, act, request)
	negative_holds(condition, act, request)
}

positive_holds(condition, _, _) if not condition.values

positive_holds(condition, act, request) if holds(attribute_of_key(condition.key), condition.values, act, request)

negative_holds(condition, _, _) if not condition.notValues

negative_holds(condition, act, request) if excludes(attribute_of_key(condition.key), condition.notValues, act, request)

# What only HTTP has is passed over where a rule denies a TCP connection, and
# matches never where one allows it: as Istio does, the stricter way each time.
holds(attribute, _, "DENY", request) if beyond(attribute, request)

holds(attribute, values, _, request) if {
	not beyond(attribute, request)
	some have in have_of(attribute, request)
	some want in values
	same(attribute[0], want, have)
}

excludes(attribute, _, "DENY", request) if beyond(attribute, request)

excludes(attribute, values, _, request) if {
	not beyond(attribute, request)
	hits := [want | some have in have_of(attribute, request); some want in values; same(attribute[0], want, have)]
	count(hits) == 0
}

beyond(attribute, request) if {
	attribute[0] in {"method", "path", "host", "headers", "claims", "request_principal", "remote_ip"}
	request.http == false
}

# have_of are the values of an attribute: none if the request has none.
have_of(attribute, request) := [v | some v in listed(object.get(request, attribute, null)); v != ""]

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

# same compares as Istio does: exactly, by prefix (abc*), by suffix (*abc), or by
# being there (*); addresses by network, hosts without regard to case, paths also
# by {*} for one segment and {**} for the rest.
same(kind, want, have) if {
	kind in {"source_ip", "remote_ip", "destination_ip"}
	cidr.within(have, [want])
}

same(kind, want, have) if {
	kind == "host"
	text_matches(lower(want), lower(have))
}

same(kind, want, have) if {
	kind == "path"
	contains(want, "{*")
	regex.match(template_regex(want), have)
}

same(kind, want, have) if {
	not kind in {"source_ip", "remote_ip", "destination_ip", "host"}
	not templated(kind, want)
	text_matches(want, have)
}

templated("path", want) if contains(want, "{*")

template_regex(want) := concat("", ["^", expanded, "$"]) if {
	quoted := regex.replace(want, `[.+?^$()|\[\]\\]`, `\$0`)
	expanded := replace(replace(quoted, "{**}", "(.*)"), "{*}", "([^/]+)")
}

text_matches("*", have) if have != ""

text_matches(want, have) if want == have

text_matches(want, have) if {
	endswith(want, "*")
	startswith(have, trim_suffix(want, "*"))
}

text_matches(want, have) if {
	startswith(want, "*")
	endswith(have, trim_prefix(want, "*"))
}

# missing are the attributes that policies ask for and the request has no key
# for, by policy.
missing(policies, request) := {name(p): names |
	some p in policies
	names := {concat(".", a) | some a in asked(p); not handed(a, request)}
	count(names) > 0
}

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

handed(attribute, request) if beyond(attribute, request)
