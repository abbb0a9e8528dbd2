# METADATA
# title: Roles
# description: |
#   Role-based access over data:
#
#     roles:    {subject: [role]}        who has which role; "*" is everybody with a name
#     inherits: {role: [role]}           optional: what else a role is
#     grants:   {role: [{"methods": ["GET"], "paths": ["/orders/{id}"]}]}
#
#   In a grant "*" is every method; paths are templates of tallygate.path.
package tallygate.rbac

import data.tallygate.path

# allowed holds if a role of the subject grants the method on the path, given as
# its segments.
allowed(model, subject, method, segments) if count(granting(model, subject, method, segments)) > 0

# granting are the roles that do.
granting(model, subject, method, segments) := {role |
	some role in roles(model, subject)
	some grant in model.grants[role]
	some m in grant.methods
	m in {method, "*"}
	some template in grant.paths
	path.matches(template, segments)
}

# roles are those of the subject, with all that they inherit.
roles(model, subject) := graph.reachable(object.union(leaves, inherits), own) if {
	subject != ""
	own := {r | some who in [subject, "*"]; some r in model.roles[who]}
	inherits := object.get(model, "inherits", {})
	leaves := {r: [] | some r in own | {i | some list in inherits; some i in list}}
}
