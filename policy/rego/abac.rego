# METADATA
# title: Attributes
# description: |
#   Attribute-based access over data: a list of rules, each with a name, an effect
#   (allow or deny) and conditions that all must hold:
#
#     {"name": "own orders", "effect": "allow", "when": [
#       {"attribute": "action", "op": "in", "value": ["read", "write"]},
#       {"attribute": "resource.owner", "op": "eq", "other": "subject.id"}]}
#
#   op is eq, ne, in, not_in, lt, le, gt, ge, starts_with, has (a list has the
#   value), within (an address and a list of networks). Attributes are what the
#   policy hands over, by dotted name. An attribute that is not there makes a
#   condition fail, a condition that cannot be understood fails in a rule that
#   allows and holds in one that denies.
package tallygate.abac

import data.tallygate.cidr

# allowed holds if a rule allows and none denies.
allowed(rules, attributes) if {
	count(matching(rules, "allow", attributes)) > 0
	count(matching(rules, "deny", attributes)) == 0
}

# matching are the names of the rules of an effect that match.
matching(rules, effect, attributes) := {rule.name |
	some rule in rules
	rule.effect == effect
	every c in rule.when { holds(c, effect, attributes) }
}

holds(c, _, attributes) if compare(c.op, value(c.attribute, attributes), wanted(c, attributes))

holds(c, "deny", _) if not understood(c)

understood(c) if {
	c.op in {"eq", "ne", "in", "not_in", "lt", "le", "gt", "ge", "starts_with", "has", "within"}
	is_string(c.attribute)
}

value(name, attributes) := v if {
	v := object.get(attributes, split(name, "."), null)
	v != null
}

wanted(c, attributes) := value(c.other, attributes)

wanted(c, _) := c.value if not c.other

compare("eq", a, b) if a == b

compare("ne", a, b) if a != b

compare("in", a, b) if a in b

compare("not_in", a, b) if not a in b

compare("lt", a, b) if a < b

compare("le", a, b) if a <= b

compare("gt", a, b) if a > b

compare("ge", a, b) if a >= b

compare("starts_with", a, b) if startswith(a, b)

compare("has", a, b) if b in a

compare("within", a, b) if cidr.within(a, b)
