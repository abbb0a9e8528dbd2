# METADATA
# title: gRPC
# description: |
#   Methods of gRPC requests. Of the request the content type and the path are
#   read; a gRPC path has no ids, so decisions are shared well.
package tallygate.grpc

# call is the service and the method that are called; undefined for a request
# that is not gRPC.
call := {"service": service, "method": method} if {
	regex.match(`^application/grpc($|[+;-])`, input.attributes.request.http.headers["content-type"])
	[service, method] := input.parsed_path
	service != ""
	method != ""
}

# calls holds if what is called is one of patterns: shop.Orders/Get,
# shop.Orders/* for a service, shop.* for a package and those below it.
calls(patterns) if {
	some pattern in patterns
	matches(pattern)
}

matches(pattern) if pattern == concat("/", [call.service, call.method])

matches(pattern) if {
	endswith(pattern, "/*")
	call.service == trim_suffix(pattern, "/*")
}

matches(pattern) if {
	endswith(pattern, ".*")
	startswith(call.service, trim_suffix(pattern, "*"))
}
