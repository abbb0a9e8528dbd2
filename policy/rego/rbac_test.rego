package tallygate.rbac_test

import data.tallygate.rbac

model := {
	"roles": {"ann": ["admin"], "bob": ["writer"], "*": ["visitor"]},
	"inherits": {"admin": ["writer"], "writer": ["reader"]},
	"grants": {
		"reader": [{"methods": ["GET", "HEAD"], "paths": ["/orders", "/orders/{id}"]}],
		"writer": [{"methods": ["POST"], "paths": ["/orders"]}],
		"admin": [{"methods": ["*"], "paths": ["/admin/**"]}],
		"visitor": [{"methods": ["GET"], "paths": ["/"]}],
	},
}

test_roles if {
	rbac.roles(model, "ann") == {"admin", "writer", "reader", "visitor"}
	rbac.roles(model, "eve") == {"visitor"}
	not rbac.roles(model, "")
	rbac.roles({"roles": {"ann": ["x"]}}, "ann") == {"x"}
}

test_allowed if {
	rbac.allowed(model, "ann", "DELETE", ["admin", "users", "7"])
	rbac.allowed(model, "ann", "GET", ["orders", "7"])
	rbac.allowed(model, "bob", "POST", ["orders"])
	rbac.allowed(model, "eve", "GET", [""])
}

test_denied if {
	not rbac.allowed(model, "bob", "DELETE", ["admin", "users", "7"])
	not rbac.allowed(model, "bob", "POST", ["orders", "7"])
	not rbac.allowed(model, "eve", "GET", ["orders"])
	not rbac.allowed(model, "", "GET", [""])
	not rbac.allowed({}, "ann", "GET", [""])
}

test_granting if rbac.granting(model, "ann", "GET", ["orders"]) == {"reader"}
