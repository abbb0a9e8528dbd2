# Which service account may call which gRPC methods. A caller who may not gets
# PERMISSION_DENIED, with the reason as its message.
package envoy.authz

import data.tallygate.grpc

default allow := {"allowed": false, "http_status": 403, "body": "not permitted for this service account"}

allow := {"allowed": true} if grpc.calls(data.calls[input.attributes.source.principal])

# Health checks need no identity.
allow := {"allowed": true} if grpc.calls(["grpc.health.v1.Health/*"])
