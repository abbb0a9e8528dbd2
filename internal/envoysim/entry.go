package envoysim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alsdata "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// writer makes entries; ids and times differ from entry to entry.
type writer struct {
	rnd *rand.Rand
	now time.Time
}

func (w *writer) hex(bytes int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 2*bytes)
	for i := range b {
		b[i] = digits[w.rnd.IntN(16)]
	}
	return string(b)
}

func (w *writer) uuid() string {
	return w.hex(4) + "-" + w.hex(2) + "-" + w.hex(2) + "-" + w.hex(2) + "-" + w.hex(6)
}

// duration is spread over the buckets as latencies are: log-normal, median 12 ms.
func (w *writer) duration() time.Duration {
	return time.Duration(12e6 * math.Exp(1.2*min(w.rnd.NormFloat64(), 4)))
}

func address(ip string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       ip,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

func certificate(uri string) *alsdata.TLSProperties_CertificateProperties {
	return &alsdata.TLSProperties_CertificateProperties{
		SubjectAltName: []*alsdata.TLSProperties_CertificateProperties_SubjectAltName{
			{San: &alsdata.TLSProperties_CertificateProperties_SubjectAltName_Uri{Uri: uri}},
		},
	}
}

// tags names the peer and the service by custom tags named like the labels.
func (t *tuple) tags(traceID string, sampled bool) map[string]string {
	side, reporter, destination := "source", "destination", t.self
	if t.source {
		side, reporter, destination = "destination", "source", t.peer
	}
	tags := map[string]string{
		"reporter":                   reporter,
		"trace_id":                   traceID,
		"trace_sampled":              strconv.FormatBool(sampled),
		"destination_service":        destination.host(),
		side + "_workload":           t.peer.name(),
		side + "_workload_namespace": t.peer.namespace(),
		side + "_app":                t.peer.serviceName(),
		side + "_version":            t.peer.version(),
	}
	if t.source {
		tags["destination_principal"] = t.peer.principal()
		tags["destination_canonical_service"] = t.peer.serviceName()
	}
	return tags
}

func (w *writer) common(t *tuple, traceID string) *alsdata.AccessLogCommon {
	d := w.duration()
	client, server := t.peer, t.self
	cluster := "inbound|8080||"
	if t.source {
		client, server = t.self, t.peer
		cluster = "outbound|8080||" + t.peer.host()
	}
	c := &alsdata.AccessLogCommon{
		DownstreamRemoteAddress:     address(client.address(), 30000+w.rnd.Uint32N(30000)),
		DownstreamLocalAddress:      address(server.address(), 8080),
		StartTime:                   timestamppb.New(w.now.Add(time.Duration(w.rnd.IntN(1e9)))),
		TimeToLastRxByte:            durationpb.New(d / 10),
		TimeToFirstUpstreamTxByte:   durationpb.New(d / 8),
		TimeToFirstUpstreamRxByte:   durationpb.New(d * 6 / 8),
		TimeToLastDownstreamTxByte:  durationpb.New(d),
		Duration:                    durationpb.New(d),
		UpstreamRemoteAddress:       address("127.0.0.6", 8080),
		UpstreamCluster:             cluster,
		StreamId:                    w.uuid(),
		CustomTags:                  t.tags(traceID, w.rnd.IntN(100) == 0), // Istio samples 1 %
		DownstreamWireBytesReceived: 400 + w.rnd.Uint64N(2000),
		DownstreamWireBytesSent:     300 + w.rnd.Uint64N(20000),
		UpstreamRequestAttemptCount: 1,
		RouteName:                   "default",
	}
	if !t.source {
		c.TlsProperties = &alsdata.TLSProperties{
			TlsVersion:                 alsdata.TLSProperties_TLSv1_3,
			TlsCipherSuite:             wrapperspb.UInt32(0x1302),
			TlsSniHostname:             "outbound_.8080_._." + t.self.host(),
			LocalCertificateProperties: certificate(t.self.principal()),
			PeerCertificateProperties:  certificate(t.peer.principal()),
		}
	}
	if t.flags == "UF,URX" {
		c.ResponseFlags = &alsdata.ResponseFlags{UpstreamConnectionFailure: true, UpstreamRetryLimitExceeded: true}
	}
	return c
}

func (w *writer) http(t *tuple) *alsdata.HTTPAccessLogEntry {
	traceID, spanID := w.hex(16), w.hex(8)
	c := w.common(t, traceID)
	e := &alsdata.HTTPAccessLogEntry{
		CommonProperties: c,
		ProtocolVersion:  alsdata.HTTPAccessLogEntry_HTTP11,
		Request: &alsdata.HTTPRequestProperties{
			RequestMethod: corev3.RequestMethod_GET,
			Scheme:        "http",
			Authority:     "api.example.com",
			Path:          fmt.Sprintf("/v1/items/%d", w.rnd.IntN(1e6)),
			UserAgent:     "Go-http-client/1.1",
			RequestId:     c.StreamId,
			RequestHeaders: map[string]string{
				"traceparent":              "00-" + traceID + "-" + spanID + "-01",
				"x-b3-sampled":             "1",
				"x-forwarded-proto":        "http",
				"x-envoy-attempt-count":    "1",
				"accept":                   "*/*",
				"accept-encoding":          "gzip",
				"content-type":             "application/json",
				"x-tenant":                 "t" + strconv.Itoa(w.rnd.IntN(1000)),
				"x-client-version":         "4.11.2",
				"x-envoy-expected-timeout": "15000",
			},
			RequestHeadersBytes: 380 + w.rnd.Uint64N(40),
			RequestBodyBytes:    w.rnd.Uint64N(2000),
		},
		Response: &alsdata.HTTPResponseProperties{
			ResponseCode:         wrapperspb.UInt32(t.code),
			ResponseHeadersBytes: 180,
			ResponseBodyBytes:    w.rnd.Uint64N(20000),
			ResponseCodeDetails:  "via_upstream",
		},
	}
	if t.protocol == protocolGRPC {
		e.ProtocolVersion = alsdata.HTTPAccessLogEntry_HTTP2
		e.Request.RequestMethod = corev3.RequestMethod_POST
		e.Request.Path = "/shop.v1.Items/Get"
		e.Request.RequestHeaders["content-type"] = "application/grpc"
		e.Response.ResponseTrailers = map[string]string{"grpc-status": t.grpc}
	}
	return e
}

// tcp is a connection that has ended: it opened, moved its bytes and closed
// between two entries, which is what Envoy logs by default.
func (w *writer) tcp(t *tuple) *alsdata.TCPAccessLogEntry {
	c := w.common(t, w.hex(16))
	c.AccessLogType = alsdata.AccessLogType_TcpConnectionEnd
	return &alsdata.TCPAccessLogEntry{
		CommonProperties: c,
		ConnectionProperties: &alsdata.ConnectionProperties{
			ReceivedBytes: 1000 + w.rnd.Uint64N(1e5),
			SentBytes:     1000 + w.rnd.Uint64N(1e6),
		},
	}
}
