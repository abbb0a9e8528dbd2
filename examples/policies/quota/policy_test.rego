package envoy.authz_test

import data.envoy.authz
import data.tallygate

request(customer, method, path) := tallygate.request({"method": method, "path": path, "headers": {"x-customer": customer}})

quotas := {q.name: q | some q in authz.allow.quotas}

test_paid_plan if {
	q := quotas["per-customer"] with input as request("acme", "GET", "/orders")
	q == {"name": "per-customer", "key": "acme", "limit": 5000, "per": "1m", "burst": 10000, "cost": 1}
}

test_free_plan if {
	q := quotas["per-customer"] with input as request("somebody", "GET", "/orders")
	q.limit == 100
}

test_search_costs_more if {
	q := quotas["per-customer"] with input as request("acme", "GET", "/search/shoes")
	q.cost == 10
}

test_writes_are_watched if {
	reads := quotas.writes with input as request("acme", "GET", "/orders")
	changes := quotas.writes with input as request("acme", "POST", "/orders")
	reads.cost == 0
	changes.cost == 1
	changes.shadow
}

test_says_whose_plan_it_is if {
	denied := authz.allow.quota_denied with input as request("acme", "GET", "/orders")
	denied.body == "The plan of acme is used up.\n"
}

test_nobody_is_denied if not authz.allow.allowed with input as tallygate.request({"path": "/orders"})
