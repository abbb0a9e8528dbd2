# By address: an admin area for the office only, nobody from blocked networks. The
# address is the one that our own proxies vouch for, whatever a client writes into
# x-forwarded-for.
package envoy.authz

import data.tallygate.cidr

default allow := {"allowed": false, "reason": "not from this address"}

allow := {"allowed": true} if {
	not blocked
	input.parsed_path[0] != "admin"
	client
}

allow := {"allowed": true} if {
	not blocked
	cidr.within(client, data.networks.office)
}

client := cidr.forwarded(data.networks.proxies)

blocked if cidr.within(client, data.networks.blocked)
