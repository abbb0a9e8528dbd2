package tallygate.cidr_test

import data.tallygate
import data.tallygate.cidr

proxies := ["10.0.0.0/8", "fd00::/8"]

from(source, forwarded) := tallygate.request({"source": source, "headers": {"x-forwarded-for": forwarded}})

test_client if {
	cidr.client == "10.1.2.3" with input as tallygate.request({"source": "10.1.2.3:4"})
	cidr.client == "10.1.2.3" with input as tallygate.request({"source": "::ffff:10.1.2.3"})
	cidr.client == "fd00::1" with input as tallygate.request({"source": "[fd00::1]:4"})
}

test_within if {
	cidr.within("10.1.2.3", proxies)
	cidr.within("fd00::1", proxies)
	not cidr.within("11.1.2.3", proxies)
	not cidr.within("11.1.2.3", [])
	cidr.within("11.1.2.3", ["11.1.2.3"])
}

test_forwarded if {
	cidr.forwarded(proxies) == "9.9.9.9" with input as from("9.9.9.9:1", "1.1.1.1")
	cidr.forwarded(proxies) == "1.1.1.1" with input as from("10.0.0.1:1", "1.1.1.1")
	cidr.forwarded(proxies) == "1.1.1.1" with input as from("10.0.0.1:1", "6.6.6.6, 1.1.1.1,10.0.0.7")
	cidr.forwarded(proxies) == "2001:db8::1" with input as from("10.0.0.1:1", "2001:db8::1, fd00::2")
	not cidr.forwarded(proxies) with input as from("10.0.0.1:1", "10.0.0.7")
	not cidr.forwarded(proxies) with input as from("10.0.0.1:1", "nonsense")
	not cidr.forwarded(proxies) with input as tallygate.request({"source": "10.0.0.1"})
}
