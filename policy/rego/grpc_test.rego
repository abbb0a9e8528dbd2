package tallygate.grpc_test

import data.tallygate
import data.tallygate.grpc

call(path) := tallygate.request({"method": "POST", "path": path, "headers": {"content-type": "application/grpc"}})

test_call if {
	grpc.call == {"service": "shop.v1.Orders", "method": "Get"} with input as call("/shop.v1.Orders/Get")
	every t in ["application/grpc+proto", "application/grpc-web", "application/grpc;x=y"] {
		grpc.call with input as tallygate.request({"path": "/a.B/C", "headers": {"content-type": t}})
	}
	not grpc.call with input as call("/shop.v1.Orders")
	not grpc.call with input as call("/shop.v1.Orders/Get/x")
	not grpc.call with input as call("/shop.v1.Orders/")
	not grpc.call with input as call("/")
	not grpc.call with input as tallygate.request({"path": "/a.B/C", "headers": {"content-type": "application/json"}})
	not grpc.call with input as tallygate.request({"path": "/a.B/C", "headers": {"content-type": "application/grpcx"}})
}

test_calls if {
	every p in ["shop.v1.Orders/Get", "shop.v1.Orders/*", "shop.v1.*", "shop.*"] {
		grpc.calls(["other", p]) with input as call("/shop.v1.Orders/Get")
	}
	every p in ["shop.v1.Orders/List", "shop.v1.Order/*", "sho.*", "shop.v1.OrdersX/*", "shop.v1.Orders"] {
		not grpc.calls([p]) with input as call("/shop.v1.Orders/Get")
	}
	not grpc.calls(["shop.*"]) with input as tallygate.request({"path": "/shop.v1.Orders/Get"})
}
