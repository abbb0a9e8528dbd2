package extauthz

import (
	"fmt"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func mustMarshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	return b
}

func socket(ip string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

// sampleRequest is what a sidecar sends: 1.4 KB with the headers of a mesh.
func sampleRequest(i int) *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{
			Address:   socket("10.244.1.17", 41234),
			Principal: "spiffe://cluster.local/ns/default/sa/bookinfo-productpage",
		},
		Destination: &authv3.AttributeContext_Peer{
			Address:   socket("10.244.2.9", 9080),
			Principal: "spiffe://cluster.local/ns/default/sa/bookinfo-reviews",
			Labels:    map[string]string{"app": "reviews", "version": "v2"},
		},
		Request: &authv3.AttributeContext_Request{
			Time: timestamppb.New(timestamppb.Now().AsTime()),
			Http: &authv3.AttributeContext_HttpRequest{
				Id: "14230123456789", Method: "GET", Path: fmt.Sprintf("/reviews/%d?lang=en", i), Host: "reviews:9080",
				Scheme: "http", Protocol: "HTTP/1.1", Size: -1,
				Headers: map[string]string{
					":authority": "reviews:9080", ":method": "GET", ":path": fmt.Sprintf("/reviews/%d?lang=en", i), ":scheme": "http",
					"accept": "*/*", "accept-encoding": "gzip, deflate", "user-agent": "python-requests/2.32.3",
					"x-request-id": "6f1d7c1e-8a0b-4a0e-9a3c-5c1fb8a7c0de", "x-forwarded-proto": "http",
					"x-forwarded-client-cert": "By=spiffe://cluster.local/ns/default/sa/bookinfo-reviews;Hash=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef;Subject=\"\";URI=spiffe://cluster.local/ns/default/sa/bookinfo-productpage",
					"traceparent":             "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
					"x-b3-traceid":            "4bf92f3577b34da6a3ce929d0e0e4736", "x-b3-spanid": "00f067aa0ba902b7", "x-b3-sampled": "1",
					"authorization":                       "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZy1lbm91Z2gtdG8tYmUtcmVhbA",
					"x-envoy-decorator-operation":         "reviews.default.svc.cluster.local:9080/*",
					"x-envoy-peer-metadata-id":            "sidecar~10.244.1.17~productpage-v1-7f44c4d57c-m2tp5.default~default.svc.cluster.local",
					"x-envoy-expected-rq-timeout-ms":      "15000",
					"x-envoy-internal":                    "true",
					"x-envoy-attempt-count":               "1",
					"x-envoy-original-dst-host":           "10.244.2.9:9080",
					"end-user":                            fmt.Sprintf("user-%d", i%50),
					"x-envoy-peer-metadata-exchange-mode": "mx",
				},
			},
		},
		ContextExtensions: map[string]string{"route": "reviews"},
		MetadataContext: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
			"envoy.filters.http.jwt_authn": {Fields: map[string]*structpb.Value{
				"payload": structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
					"sub": structpb.NewStringValue("alice"), "exp": structpb.NewNumberValue(1.7e9), "admin": structpb.NewBoolValue(false),
					"groups": structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewStringValue("a"), structpb.NewNullValue()}}),
				}}),
			}},
		}},
		TlsSession: &authv3.AttributeContext_TLSSession{Sni: "reviews.default.svc.cluster.local"},
	}}
}
