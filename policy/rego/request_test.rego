package tallygate_test

import data.tallygate

test_defaults if {
	r := tallygate.request({})
	r.attributes.request.http.method == "GET"
	r.attributes.request.http.path == "/"
	r.parsed_path == [""]
	r.parsed_query == {}
	r.parsed_body == null
	not r.attributes.source.principal
	not r.source_principal
}

test_everything if {
	r := tallygate.request({
		"method": "PUT", "path": "/a%20b/c+d?x=1&x=2&y=", "host": "shop", "headers": {"X-User": "ann"},
		"principal": "spiffe://td/a", "destination_principal": "spiffe://td/b", "source": "10.1.2.3:9", "destination": "[::1]:443",
		"context": {"k": "v"},
	})
	r.parsed_path == ["a b", "c+d"]
	r.parsed_query == {"x": ["1", "2"], "y": [""]}
	r.attributes.request.http.headers["x-user"] == "ann"
	r.attributes.request.http.headers[":method"] == "PUT"
	r.attributes.source.principal == "spiffe://td/a"
	r.source_principal == "spiffe://td/a"
	r.attributes.source.address.socketAddress == {"address": "10.1.2.3", "portValue": 9}
	r.attributes.destination == {"address": {"socketAddress": {"address": "::1", "portValue": 443}}, "principal": "spiffe://td/b"}
	r.attributes.contextExtensions.k == "v"
}

test_bodies if {
	json := tallygate.request({"body": {"amount": 7}})
	json.parsed_body.amount == 7
	json.attributes.request.http.body == `{"amount":7}`
	tallygate.request({"body": `{"a":1}`, "headers": {"Content-Type": "application/json; charset=utf-8"}}).parsed_body.a == 1
	tallygate.request({"body": "a=1&b=2", "headers": {"content-type": "application/x-www-form-urlencoded"}}).parsed_body == {"a": ["1"], "b": ["2"]}
	tallygate.request({"body": "text"}).parsed_body == null
}

test_tcp if {
	r := tallygate.request({"tcp": true, "principal": "spiffe://td/a", "source": "10.1.2.3"})
	not r.attributes.request.http
	r.attributes.source.principal == "spiffe://td/a"
	r.parsed_path == [""]
}
