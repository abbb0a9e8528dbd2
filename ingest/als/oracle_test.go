package als

import (
	"fmt"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alfv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// oracleLabels are the configured custom labels of the oracle.
var oracleLabels = &labelSet{
	n:    5,
	tags: []tagKey{{0, "policy_rule"}, {1, "source_app"}, {3, ""}},
	metadata: []metadataKey{
		{2, "envoy.filters.http.ext_authz", "policy_rule"},
		{4, "envoy.filters.http.ext_authz", "decision_id"},
	},
}

// oracle is what a record must hold after it decoded an entry, computed from the
// generated code's reading of the same bytes.
func oracle(c *alfv3.AccessLogCommon, h *alfv3.HTTPAccessLogEntry, t *alfv3.TCPAccessLogEntry) *record {
	r := new(record)
	r.setLabels(oracleLabels)
	r.reset(t != nil)
	put := func(s slot, v string) { r.put(s, []byte(v)) }
	ip := func(a *corev3.Address) string { return a.GetSocketAddress().GetAddress() }
	uri := func(p *alfv3.TLSProperties_CertificateProperties) string {
		for _, san := range p.GetSubjectAltName() {
			if san.GetUri() != "" {
				return san.GetUri()
			}
		}
		return ""
	}
	object := func(key, want string) string {
		var a *anypb.Any
		if a = c.GetFilterStateObjects()[key]; strings.HasSuffix(a.GetTypeUrl(), want) {
			return string(a.GetValue())
		}
		return ""
	}
	for l := mesh.Label(0); l < mesh.NumLabels; l++ {
		put(slot(l), c.GetCustomTags()[l.String()])
	}
	for _, k := range oracleLabels.tags {
		r.custom[k.label] = c.GetCustomTags()[k.name]
	}
	for _, k := range oracleLabels.metadata {
		r.custom[k.label] = c.GetMetadata().GetFilterMetadata()[k.filter].GetFields()[k.key].GetStringValue()
	}
	put(slotTraceID, c.GetCustomTags()["trace_id"])
	put(slotSpanID, c.GetCustomTags()["span_id"])
	put(slotTraceSampled, c.GetCustomTags()["trace_sampled"])
	put(slotLocalSAN, uri(c.GetTlsProperties().GetLocalCertificateProperties()))
	put(slotPeerSAN, uri(c.GetTlsProperties().GetPeerCertificateProperties()))
	put(slotDirectRemote, ip(c.GetDownstreamDirectRemoteAddress()))
	put(slotDownstreamRemote, ip(c.GetDownstreamRemoteAddress()))
	put(slotUpstreamRemote, ip(c.GetUpstreamRemoteAddress()))
	put(slotUpstreamCluster, c.GetUpstreamCluster())
	put(slotStreamID, c.GetStreamId())
	put(slotDownstreamPeer, object("downstream_peer", "google.protobuf.Struct"))
	put(slotUpstreamPeer, object("upstream_peer", "google.protobuf.Struct"))
	put(slotWasmDownstreamPeer, object("wasm.downstream_peer", "google.protobuf.Struct"))
	put(slotWasmUpstreamPeer, object("wasm.upstream_peer", "google.protobuf.Struct"))
	put(slotGRPCStats, object("envoy.filters.http.grpc_stats", "envoy.extensions.filters.http.grpc_stats.v3.FilterObject"))
	r.start = seconds{c.GetStartTime().GetSeconds(), c.GetStartTime().GetNanos()}
	r.duration = seconds{c.GetDuration().GetSeconds(), c.GetDuration().GetNanos()}
	r.hasDuration = c.GetDuration() != nil
	r.lastByte = seconds{c.GetTimeToLastDownstreamTxByte().GetSeconds(), c.GetTimeToLastDownstreamTxByte().GetNanos()}
	r.hasLastByte = c.GetTimeToLastDownstreamTxByte() != nil
	r.wireSent, r.wireReceived = c.GetDownstreamWireBytesSent(), c.GetDownstreamWireBytesReceived()
	r.intermediate = c.GetIntermediateLogEntry() //lint:ignore SA1019 older proxies still set it
	r.logType = int32(c.GetAccessLogType())
	f := c.GetResponseFlags()
	for i, on := range []bool{
		f.GetFailedLocalHealthcheck(), f.GetNoHealthyUpstream(), f.GetUpstreamRequestTimeout(), f.GetLocalReset(),
		f.GetUpstreamRemoteReset(), f.GetUpstreamConnectionFailure(), f.GetUpstreamConnectionTermination(),
		f.GetUpstreamOverflow(), f.GetNoRouteFound(), f.GetDelayInjected(), f.GetFaultInjected(), f.GetRateLimited(),
		f.GetUnauthorizedDetails() != nil, f.GetRateLimitServiceError(), f.GetDownstreamConnectionTermination(),
		f.GetUpstreamRetryLimitExceeded(), f.GetStreamIdleTimeout(), f.GetInvalidEnvoyRequestHeaders(),
		f.GetDownstreamProtocolError(), f.GetUpstreamMaxStreamDurationReached(), f.GetResponseFromCacheFilter(),
		f.GetNoFilterConfigFound(), f.GetDurationTimeout(), f.GetUpstreamProtocolError(), f.GetNoClusterFound(),
		f.GetOverloadManager(), f.GetDnsResolutionFailure(), f.GetDownstreamRemoteReset(),
	} {
		if on {
			r.flags |= 1 << i
		}
	}
	if t != nil {
		r.connReceived, r.connSent = t.GetConnectionProperties().GetReceivedBytes(), t.GetConnectionProperties().GetSentBytes()
		return r
	}
	q, p := h.GetRequest(), h.GetResponse()
	put(slotAuthority, q.GetAuthority())
	put(slotTraceparent, q.GetRequestHeaders()["traceparent"])
	put(slotB3TraceID, q.GetRequestHeaders()["x-b3-traceid"])
	put(slotB3SpanID, q.GetRequestHeaders()["x-b3-spanid"])
	put(slotB3Sampled, q.GetRequestHeaders()["x-b3-sampled"])
	put(slotB3, q.GetRequestHeaders()["b3"])
	put(slotUber, q.GetRequestHeaders()["uber-trace-id"])
	put(slotContentType, q.GetRequestHeaders()["content-type"])
	put(slotHeaderStatus, p.GetResponseHeaders()["grpc-status"])
	put(slotTrailerStatus, p.GetResponseTrailers()["grpc-status"])
	r.method = int32(q.GetRequestMethod())
	r.requestHead, r.requestBody = q.GetRequestHeadersBytes(), q.GetRequestBodyBytes()
	r.responseHead, r.responseBody = p.GetResponseHeadersBytes(), p.GetResponseBodyBytes()
	r.code = p.GetResponseCode().GetValue()
	return r
}

// dump writes what a record holds.
func dump(r *record) string {
	var b strings.Builder
	for s := range numSlots {
		if r.set.has(s) {
			fmt.Fprintf(&b, "%d: %q\n", s, r.strings[s])
		}
	}
	fmt.Fprintf(&b, "%q %+v", r.custom, r.scalars)
	return b.String()
}

// checkFrame compares the decoder with the generated code on one message, which
// ends the buffer, or is followed by other bytes.
func checkFrame(t *testing.T, data []byte) {
	t.Helper()
	checkFrameIn(t, data[:len(data):len(data)])
	for _, junk := range []string{"\x00\x00\x00\x00\x00\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		b := append(append(make([]byte, 0, len(data)+len(junk)), data...), junk...)
		checkFrameIn(t, b[:len(data)])
	}
}

func checkFrameIn(t *testing.T, data []byte) {
	t.Helper()
	f, ok := scan(data)
	want := new(alsv3.StreamAccessLogsMessage)
	accepted := proto.Unmarshal(data, want) == nil
	if !ok {
		if accepted {
			t.Fatalf("scan refuses what the generated code accepts: %x", data)
		}
		return
	}
	var entries []*record
	switch logs := want.GetLogEntries().(type) {
	case *alsv3.StreamAccessLogsMessage_HttpLogs:
		for _, e := range logs.HttpLogs.GetLogEntry() {
			entries = append(entries, oracle(e.GetCommonProperties(), e, nil))
		}
	case *alsv3.StreamAccessLogsMessage_TcpLogs:
		for _, e := range logs.TcpLogs.GetLogEntry() {
			entries = append(entries, oracle(e.GetCommonProperties(), nil, e))
		}
	}
	if accepted && f.entries != len(entries) {
		t.Fatalf("scan finds %d entries; the generated code %d: %x", f.entries, len(entries), data)
	}
	r, n := new(record), 0
	r.setLabels(oracleLabels)
	r.begin()
	c := f.cursor()
	for b, ok := c.next(); ok; b, ok = c.next() {
		ok := r.decode(b, f.logs == tagTCPLogs)
		if accepted {
			if !ok {
				t.Fatalf("entry %d refused, but the generated code accepts it: %x", n, data)
			}
			if got, want := dump(r), dump(entries[n]); got != want {
				t.Fatalf("entry %d: got\n%s\nwant\n%s\nin %x", n, got, want, data)
			}
		}
		n++
	}
	if n != f.entries {
		t.Fatalf("scan counts %d entries; the cursor finds %d: %x", f.entries, n, data)
	}
}
