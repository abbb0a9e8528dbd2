package tallygate.path_test

import data.tallygate
import data.tallygate.path

segments(text) := split(trim_left(text, "/"), "/")

matches(template, text) if path.matches(template, segments(text))

test_matches if {
	matches("/", "/")
	matches("/users", "/users")
	matches("/users/{id}", "/users/7")
	matches("/users/*/orders", "/users/7/orders")
	matches("/users/{id}/orders/{order}", "/users/7/orders/8")
	matches("/static/**", "/static")
	matches("/static/**", "/static/a/b")
	matches("/static/{file=**}", "/static/a/b")
	matches("/**", "/")
}

test_matches_not if {
	not matches("/users", "/user")
	not matches("/users", "/users/7")
	not matches("/users/{id}", "/users")
	not matches("/users/{id}", "/users/")
	not matches("/users/{id}", "/users/7/8")
	not matches("/users/*/orders", "/users//orders")
	not matches("/users/{id}/orders", "/users/7/carts")
	not matches("/static/x/**", "/static")
	not matches("/static/**", "/other/a")
}

test_params if {
	path.params("/users/{id}/orders/{order}", ["users", "7", "orders", "8"]) == {"id": "7", "order": "8"}
	path.params("/static/{file=**}", ["static", "a", "b"]) == {"file": "a/b"}
	path.params("/static/{file=**}", ["static"]) == {"file": ""}
	path.params("/users", ["users"]) == {}
	path.params("/{x}/{x}", ["a", "a"]) == {"x": "a"}
}

test_template if {
	path.template(["/users/me", "/users/{id}", "/**"], ["users", "7"]) == "/users/{id}"
	path.template(["/users/me", "/users/{id}"], ["users", "me"]) == "/users/me"
	not path.template(["/users/{id}"], ["orders"])
}

test_under if {
	path.under("/admin", ["admin"])
	path.under("/admin/", ["admin", "x"])
	path.under("/", ["x"])
	not path.under("/admin", ["administrator"])
	not path.under("/admin/x", ["admin"])
}

test_clean if {
	every p in ["/", "/a/b", "/a.b/c", "/a/..b", "/a?x=//..", "/a/b/", "/a%20b"] {
		path.clean with input as tallygate.request({"path": p})
	}
	every p in ["//a", "/a//b", "/a/../b", "/a/..", "/./a", "/a%2fb", "/a%2Fb", "/a\\b", "/a%5cb", "/%2e%2e/a", "/%2E./a"] {
		not path.clean with input as tallygate.request({"path": p})
	}
	not path.clean with input as tallygate.request({"tcp": true})
}

test_safe if {
	path.safe("GET")
	not path.safe("POST")
	not path.safe("get")
}
