package tallygate.abac_test

import data.tallygate.abac

attributes := {"action": "read", "subject": {"id": "ann", "level": 3, "teams": ["a", "b"]}, "resource": {"owner": "ann", "level": 2}, "ip": "10.1.2.3"}

holds(condition) if abac.allowed([{"name": "r", "effect": "allow", "when": [condition]}], attributes)

test_ops if {
	every c in [
		{"attribute": "action", "op": "eq", "value": "read"},
		{"attribute": "action", "op": "ne", "value": "write"},
		{"attribute": "action", "op": "in", "value": ["read", "write"]},
		{"attribute": "action", "op": "not_in", "value": ["write"]},
		{"attribute": "action", "op": "starts_with", "value": "re"},
		{"attribute": "subject.level", "op": "gt", "other": "resource.level"},
		{"attribute": "subject.level", "op": "ge", "value": 3},
		{"attribute": "resource.level", "op": "lt", "value": 3},
		{"attribute": "resource.level", "op": "le", "value": 2},
		{"attribute": "subject.teams", "op": "has", "value": "a"},
		{"attribute": "resource.owner", "op": "eq", "other": "subject.id"},
		{"attribute": "ip", "op": "within", "value": ["192.168.0.0/16", "10.0.0.0/8"]},
	] {
		holds(c)
	}
}

test_ops_not if {
	every c in [
		{"attribute": "action", "op": "eq", "value": "write"},
		{"attribute": "action", "op": "in", "value": ["write"]},
		{"attribute": "action", "op": "not_in", "value": ["read"]},
		{"attribute": "subject.level", "op": "lt", "other": "resource.level"},
		{"attribute": "subject.teams", "op": "has", "value": "c"},
		{"attribute": "nothing", "op": "ne", "value": "x"},
		{"attribute": "action", "op": "ne", "other": "nothing"},
		{"attribute": "action", "op": "like", "value": "read"},
		{"attribute": "ip", "op": "within", "value": ["192.168.0.0/16"]},
	] {
		not holds(c)
	}
}

rules := [
	{"name": "everybody reads", "effect": "allow", "when": [{"attribute": "action", "op": "eq", "value": "read"}]},
	{"name": "not the frozen", "effect": "deny", "when": [{"attribute": "subject.frozen", "op": "eq", "value": true}]},
]

test_deny_wins if {
	abac.allowed(rules, attributes)
	not abac.allowed(rules, object.union(attributes, {"subject": {"frozen": true}}))
	abac.matching(rules, "deny", object.union(attributes, {"subject": {"frozen": true}})) == {"not the frozen"}
}

# What cannot be understood never lets anybody in.
test_unknown_op if {
	deny := {"name": "d", "effect": "deny", "when": [{"attribute": "action", "op": "like", "value": "x"}]}
	not abac.allowed(array.concat(rules, [deny]), attributes)
	not abac.allowed([], attributes)
}
