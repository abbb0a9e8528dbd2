package als

import (
	"fmt"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alfv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func socketAddress(ip string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}}}}
}

func certificate(uri, subject string) *alfv3.TLSProperties_CertificateProperties {
	return &alfv3.TLSProperties_CertificateProperties{
		SubjectAltName: []*alfv3.TLSProperties_CertificateProperties_SubjectAltName{{
			San: &alfv3.TLSProperties_CertificateProperties_SubjectAltName_Uri{Uri: uri}}},
		Subject: subject,
	}
}

// sampleEntry is entry i of a stream of inbound requests to reviews-v1, about
// 1.1 KB: ten request headers, SPIFFE TLS properties, nine tags.
func sampleEntry(i int) *alfv3.HTTPAccessLogEntry {
	ms := func(n int) *durationpb.Duration { return durationpb.New(time.Duration(n) * 137 * time.Microsecond) }
	return &alfv3.HTTPAccessLogEntry{
		ProtocolVersion: alfv3.HTTPAccessLogEntry_HTTP11,
		CommonProperties: &alfv3.AccessLogCommon{
			DownstreamRemoteAddress:       socketAddress("10.244.1.17", 41234),
			DownstreamDirectRemoteAddress: socketAddress("10.244.1.17", 41234),
			DownstreamLocalAddress:        socketAddress("10.244.2.9", 9080),
			UpstreamRemoteAddress:         socketAddress("127.0.0.6", 9080),
			UpstreamLocalAddress:          socketAddress("127.0.0.6", 50123),
			TlsProperties: &alfv3.TLSProperties{
				TlsVersion:                 alfv3.TLSProperties_TLSv1_3,
				TlsCipherSuite:             wrapperspb.UInt32(0x1301),
				TlsSniHostname:             "outbound_.9080_._.reviews.default.svc.cluster.local",
				LocalCertificateProperties: certificate("spiffe://cluster.local/ns/default/sa/bookinfo-reviews", ""),
				PeerCertificateProperties:  certificate("spiffe://cluster.local/ns/default/sa/bookinfo-productpage", ""),
			},
			StartTime:                   timestamppb.New(time.Unix(1_700_000_000+int64(i), 123456789)),
			TimeToLastRxByte:            ms(1),
			TimeToFirstUpstreamTxByte:   ms(2),
			TimeToLastUpstreamTxByte:    ms(3),
			TimeToFirstUpstreamRxByte:   ms(9),
			TimeToLastUpstreamRxByte:    ms(10),
			TimeToFirstDownstreamTxByte: ms(10),
			TimeToLastDownstreamTxByte:  ms(11),
			Duration:                    ms(11 + i%7),
			UpstreamCluster:             "inbound|9080||",
			RouteName:                   "default",
			StreamId:                    fmt.Sprintf("8a4c0f9e-2f6d-4c9a-9a51-%012d", i),
			CustomTags: map[string]string{
				"reporter":                      "1",
				"source_workload":               "productpage-v1",
				"source_workload_namespace":     "default",
				"source_app":                    "productpage",
				"destination_service":           "reviews.default.svc.cluster.local",
				"destination_service_name":      "reviews",
				"destination_service_namespace": "default",
				"trace_id":                      fmt.Sprintf("4bf92f3577b34da6a3ce929d%08x", i),
				"trace_sampled":                 "true",
			},
			DownstreamWireBytesSent:     548,
			DownstreamWireBytesReceived: 1123,
			UpstreamWireBytesSent:       1100,
			UpstreamWireBytesReceived:   540,
			UpstreamRequestAttemptCount: 1,
			AccessLogType:               alfv3.AccessLogType_DownstreamEnd,
		},
		Request: &alfv3.HTTPRequestProperties{
			RequestMethod:       corev3.RequestMethod_GET,
			Scheme:              "http",
			Authority:           "reviews:9080",
			Path:                fmt.Sprintf("/reviews/%d", i),
			UserAgent:           "curl/8.5.0",
			RequestId:           fmt.Sprintf("8a4c0f9e-2f6d-4c9a-9a51-%012d", i),
			RequestHeadersBytes: 900,
			RequestHeaders: map[string]string{
				"accept":            "application/json",
				"accept-encoding":   "gzip",
				"content-type":      "application/json",
				"x-forwarded-proto": "http",
				"x-b3-traceid":      "4bf92f3577b34da6a3ce929d0e0e4736",
				"x-b3-spanid":       "00f067aa0ba902b7",
				"x-b3-sampled":      "1",
				"end-user":          "jason",
				"x-tenant":          "acme",
				"x-client-version":  "4.12.0",
			},
		},
		Response: &alfv3.HTTPResponseProperties{
			ResponseCode:         wrapperspb.UInt32(200),
			ResponseHeadersBytes: 180,
			ResponseBodyBytes:    368,
			ResponseCodeDetails:  "via_upstream",
		},
	}
}

func mustStruct(t testing.TB, m map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(m)
	if err != nil {
		t.Fatalf("struct: %v", err)
	}
	return s
}

// sampleNode is the node identifier of the sidecar that reports sampleEntry.
func sampleNode(t testing.TB) *corev3.Node {
	return &corev3.Node{
		Id:      "sidecar~10.244.2.9~reviews-v1-545db77b95-x2x9v.default~default.svc.cluster.local",
		Cluster: "reviews.default",
		Metadata: mustStruct(t, map[string]any{
			"WORKLOAD_NAME":   "reviews-v1",
			"NAMESPACE":       "default",
			"CLUSTER_ID":      "Kubernetes",
			"SERVICE_ACCOUNT": "bookinfo-reviews",
			"ISTIO_VERSION":   "1.27.0",
			"LABELS": map[string]any{
				"app": "reviews", "version": "v1",
				"service.istio.io/canonical-name": "reviews", "service.istio.io/canonical-revision": "v1",
			},
		}),
	}
}

func sampleMessage(from, n int) *alsv3.StreamAccessLogsMessage {
	logs := new(alsv3.StreamAccessLogsMessage_HTTPAccessLogEntries)
	for i := range n {
		logs.LogEntry = append(logs.LogEntry, sampleEntry(from+i))
	}
	return &alsv3.StreamAccessLogsMessage{LogEntries: &alsv3.StreamAccessLogsMessage_HttpLogs{HttpLogs: logs}}
}

func mustMarshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatalf("marshal %T: %v", m, err)
	}
	return b
}

func mustAny(t testing.TB, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatalf("any: %v", err)
	}
	return a
}

func unmarshal(b []byte, m proto.Message) bool { return proto.Unmarshal(b, m) == nil }
