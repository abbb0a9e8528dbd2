# METADATA
# title: Plain requests
# description: |
#   What Envoy would send for a plain HTTP request, for tests and for trying
#   policies out. Policies that decide do not need it.
package tallygate

# request builds the input of the contract from a plain request. All keys are
# optional: method, path (with query), host, headers, body (text, or a value that
# becomes JSON), principal, destination_principal, source and destination (an IP
# address, with or without port), context, tcp (a connection without a request).
#
#   test_x if allow with input as tallygate.request({"path": "/orders/7", "headers": {"x-user": "alice"}})
request(plain) := object.union_n([
	{"attributes": object.union(connection(plain), http(plain)), "version": {"encoding": "protojson", "ext_authz": "v3"}},
	parsed(plain),
	{"source_principal": p | p := plain.principal},
	# An error, by a conflict, not undefined: else the test of a denial would pass.
	{"unknown key": [key, n] | some key in object.keys(plain) - keys; some n in [1, 2]},
])

keys := {
	"method", "path", "host", "headers", "body", "principal", "destination_principal",
	"source", "destination", "context", "tcp",
}

connection(plain) := object.union(
	{
		"source": object.union({"address": socket(object.get(plain, "source", "127.0.0.1:40000"))}, {"principal": p | p := plain.principal}),
		"destination": object.union({"address": socket(object.get(plain, "destination", "127.0.0.1:8080"))}, {"principal": p | p := plain.destination_principal}),
	},
	{"contextExtensions": c | c := plain.context},
)

# An IPv6 address with a port is in brackets.
socket(text) := {"socketAddress": {"address": address, "portValue": to_number(port)}} if {
	[[_, bracketed, plain, port]] := regex.find_all_string_submatch_n(`^(?:\[([^\]]+)\]|([^:]+)):([0-9]+)$`, text, 1)
	address := concat("", [bracketed, plain])
} else := {"socketAddress": {"address": text, "portValue": 0}}

http(plain) := {"request": {}} if plain.tcp == true

http(plain) := {"request": {"http": object.union_n([
	{
		"id": "1", "method": method, "path": path, "host": host, "scheme": "http", "protocol": "HTTP/1.1",
		"headers": object.union_n([
			{":method": method, ":path": path, ":authority": host, ":scheme": "http"},
			{"content-type": "application/json" | not is_string(plain.body)},
			{lower(name): value | some name, value in object.get(plain, "headers", {})},
		]),
	},
	{"body": b | b := body_text(plain)},
	{"size": format_int(count(b), 10) | b := body_text(plain)},
])}} if {
	not plain.tcp == true
	method := object.get(plain, "method", "GET")
	path := object.get(plain, "path", "/")
	host := object.get(plain, "host", "localhost")
}

body_text(plain) := plain.body if {
	is_string(plain.body)
	plain.body != ""
}

body_text(plain) := json.marshal(plain.body) if not is_string(plain.body)

parsed(plain) := {
	"parsed_path": split(trim_left(unescaped, "/"), "/"),
	"parsed_query": query(parts),
	"parsed_body": body(plain),
	"truncated_body": false,
} if {
	parts := split(path_of(plain), "?")
	unescaped := urlquery.decode(replace(parts[0], "+", "%2B"))
}

path_of(plain) := "" if plain.tcp == true

path_of(plain) := object.get(plain, "path", "/") if not plain.tcp == true

query(parts) := urlquery.decode_object(text) if {
	text := concat("?", array.slice(parts, 1, count(parts)))
	text != ""
} else := {}

default body(_) := null

body(plain) := plain.body if not is_string(plain.body)

body(plain) := json.unmarshal(plain.body) if {
	is_string(plain.body)
	startswith(content_type(plain), "application/json")
}

body(plain) := urlquery.decode_object(plain.body) if {
	is_string(plain.body)
	startswith(content_type(plain), "application/x-www-form-urlencoded")
}

content_type(plain) := value if {
	some name, value in plain.headers
	lower(name) == "content-type"
}
