# METADATA
# title: Addresses
# description: |
#   Addresses and lists of networks. The port of a connection is never read: it is
#   another one each time.
package tallygate.cidr

# client is the address of the other end of the connection.
client := plain(input.attributes.source.address.socketAddress.address)

# within holds if one of networks, which may be single addresses, has address.
within(address, networks) if {
	some network in networks
	covers(network, address)
}

covers(network, address) if {
	contains(network, "/")
	net.cidr_contains(network, address)
}

covers(network, address) if network == address

# forwarded is the address that a chain of trusted proxies vouches for: the last
# one of x-forwarded-for that is not of the trusted networks; the client itself
# if that is not trusted. What clients write before it is not believed.
forwarded(trusted) := client if not within(client, trusted)

forwarded(trusted) := address if {
	within(client, trusted)
	hops := [plain(trim_space(h)) | some h in split(input.attributes.request.http.headers["x-forwarded-for"], ",")]
	strangers := [i | some i, h in hops; not within(h, trusted)]
	address := hops[max(strangers)]
	net.cidr_is_valid(sprintf("%s/%d", [address, bits(address)]))
}

bits(address) := 128 if contains(address, ":")

bits(address) := 32 if not contains(address, ":")

# plain is an IPv4 address that came as an IPv6 one, as IPv4.
plain(address) := trim_prefix(address, "::ffff:")
