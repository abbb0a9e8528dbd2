package als

import (
	"math"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alfv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	grpcstatsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_stats/v3"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestEntry changes one thing of an HTTP entry and checks what comes of it.
func TestEntry(t *testing.T) {
	f := func(name string, change func(e *alfv3.HTTPAccessLogEntry), check func(e *mesh.Entry) bool) {
		t.Helper()
		in := sampleEntry(0)
		in.Request.RequestHeaders, in.CommonProperties.CustomTags = map[string]string{}, map[string]string{}
		in.Response.ResponseHeaders, in.Response.ResponseTrailers = map[string]string{}, map[string]string{}
		change(in)
		r := new(record)
		if !r.decode(mustMarshal(t, in), false) {
			t.Fatalf("%s: malformed", name)
		}
		var e mesh.Entry
		r.entry(&e, mesh.ReporterSource, new(resolved))
		if !check(&e) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	type in = *alfv3.HTTPAccessLogEntry
	type out = *mesh.Entry
	grpc := func(e in) { e.Request.RequestHeaders["content-type"] = "application/grpc" }

	f("HTTP", func(in) {}, func(e out) bool { return e.Protocol == mesh.ProtocolHTTP && e.GRPCStatus == -1 && !e.HasMessages })
	f("status in trailers", func(e in) { grpc(e); e.Response.ResponseTrailers["grpc-status"] = "5" },
		func(e out) bool { return e.Protocol == mesh.ProtocolGRPC && e.GRPCStatus == 5 })
	f("trailers-only", func(e in) { grpc(e); e.Response.ResponseHeaders["grpc-status"] = "14" },
		func(e out) bool { return e.GRPCStatus == 14 })
	f("trailers before headers", func(e in) {
		grpc(e)
		e.Response.ResponseHeaders["grpc-status"], e.Response.ResponseTrailers["grpc-status"] = "2", "0"
	}, func(e out) bool { return e.GRPCStatus == 0 })
	f("subtype", func(e in) { e.Request.RequestHeaders["content-type"] = "application/grpc+proto" },
		func(e out) bool { return e.Protocol == mesh.ProtocolGRPC })
	f("gRPC-Web is HTTP", func(e in) { e.Request.RequestHeaders["content-type"] = "application/grpc-web" },
		func(e out) bool { return e.Protocol == mesh.ProtocolHTTP && e.GRPCStatus == -1 })
	f("content type not logged", func(e in) { e.Response.ResponseTrailers["grpc-status"] = "0" },
		func(e out) bool { return e.Protocol == mesh.ProtocolGRPC && e.GRPCStatus == 0 })
	f("another content type", func(e in) {
		e.Request.RequestHeaders["content-type"] = "text/plain"
		e.Response.ResponseHeaders["grpc-status"] = "0"
	}, func(e out) bool { return e.Protocol == mesh.ProtocolHTTP && e.GRPCStatus == -1 })
	f("status is no number", func(e in) { grpc(e); e.Response.ResponseTrailers["grpc-status"] = "OK" },
		func(e out) bool { return e.GRPCStatus == -1 })
	f("no status, trailers not logged", grpc, func(e out) bool { return e.GRPCStatus == -1 })
	f("no status, reset", func(e in) {
		grpc(e)
		e.CommonProperties.ResponseFlags = &alfv3.ResponseFlags{UpstreamRemoteReset: true}
	}, func(e out) bool { return e.GRPCStatus == 2 })
	f("no status, 503", func(e in) { grpc(e); e.Response.ResponseCode = wrapperspb.UInt32(503) }, func(e out) bool { return e.GRPCStatus == 14 })
	f("no status, no response", func(e in) { grpc(e); e.Response.ResponseCode = nil }, func(e out) bool { return e.GRPCStatus == -1 && e.Code == 0 })
	f("message counts", func(e in) {
		e.CommonProperties.FilterStateObjects = map[string]*anypb.Any{"envoy.filters.http.grpc_stats": mustAny(t,
			&grpcstatsv3.FilterObject{RequestMessageCount: 3, ResponseMessageCount: 700})}
	}, func(e out) bool {
		return e.Protocol == mesh.ProtocolGRPC && e.HasMessages && e.RequestMessages == 3 && e.ResponseMessages == 700
	})

	f("flags", func(e in) {
		e.CommonProperties.ResponseFlags = &alfv3.ResponseFlags{UnauthorizedDetails: new(alfv3.ResponseFlags_Unauthorized)}
	}, func(e out) bool { return e.Flags.String() == "UAEX" })
	f("more flags", func(e in) {
		e.CommonProperties.ResponseFlags = &alfv3.ResponseFlags{UpstreamConnectionFailure: true, UpstreamRetryLimitExceeded: true, DownstreamRemoteReset: true}
	}, func(e out) bool { return e.Flags.String() == "UF,URX,DR" })

	f("bytes without wire bytes", func(e in) {
		e.CommonProperties.DownstreamWireBytesReceived, e.CommonProperties.DownstreamWireBytesSent = 0, 0
		e.Request.RequestBodyBytes = 50
	}, func(e out) bool { return e.RequestBytes == 950 && e.ResponseBytes == 548 })
	f("duration from the last byte", func(e in) { e.CommonProperties.Duration = nil },
		func(e out) bool { return e.Duration == 11*137*time.Microsecond })
	f("no duration", func(e in) { e.CommonProperties.Duration, e.CommonProperties.TimeToLastDownstreamTxByte = nil, nil },
		func(e out) bool { return e.Duration == 0 })
	f("negative duration", func(e in) { e.CommonProperties.Duration = &durationpb.Duration{Seconds: -5} }, func(e out) bool { return e.Duration == 0 })
	f("endless duration", func(e in) { e.CommonProperties.Duration = &durationpb.Duration{Seconds: math.MaxInt64} },
		func(e out) bool { return e.Duration == math.MaxInt64 })
	f("method of the future", func(e in) { e.Request.RequestMethod = 77 }, func(e out) bool { return e.Method == "" })

	tags := func(kv ...string) func(e in) {
		return func(e in) {
			for i := 0; i < len(kv); i += 2 {
				e.CommonProperties.CustomTags[kv[i]] = kv[i+1]
			}
		}
	}
	f("tags set what they are named after", tags("request_protocol", "grpc", "response_code", "503", "grpc_response_status", "14", "response_flags", "UF,URX"),
		func(e out) bool {
			return e.Protocol == mesh.ProtocolGRPC && e.Code == 503 && e.GRPCStatus == 14 && e.Flags.String() == "UF,URX"
		})
	f("tags without a value", tags("request_protocol", "-", "response_code", "-", "grpc_response_status", "-", "response_flags", "XX"),
		func(e out) bool {
			return e.Protocol == mesh.ProtocolHTTP && e.Code == 200 && e.GRPCStatus == -1 && e.Flags == 0
		})
	f("protocol by tag", func(e in) { grpc(e); tags("request_protocol", "http", "response_flags", "-")(e) },
		func(e out) bool { return e.Protocol == mesh.ProtocolHTTP && e.GRPCStatus == -1 })

	const trace, b3, span = "4bf92f3577b34da6a3ce929d0e0e4736", "463ac35c9f6413ad", "00f067aa0ba902b7"
	f("trace tags", func(e in) {
		e.CommonProperties.CustomTags = map[string]string{"trace_id": trace, "span_id": span, "trace_sampled": "true"}
		e.Request.RequestHeaders["x-b3-traceid"] = b3
	}, func(e out) bool { return e.TraceID == trace && e.SpanID == span && e.TraceSampled })
	f("traceparent", func(e in) {
		e.CommonProperties.CustomTags["trace_id"] = "-"
		e.Request.RequestHeaders["traceparent"] = "00-" + trace + "-" + span + "-01"
	}, func(e out) bool { return e.TraceID == trace && e.SpanID == "" && e.TraceSampled })
	f("sampled by the header of the trace in the tag", func(e in) {
		e.CommonProperties.CustomTags["trace_id"] = trace
		e.Request.RequestHeaders["traceparent"] = "00-" + trace + "-" + span + "-01"
	}, func(e out) bool { return e.TraceID == trace && e.TraceSampled })
	f("the tag knows better than the header", func(e in) {
		e.CommonProperties.CustomTags["trace_id"], e.CommonProperties.CustomTags["trace_sampled"] = trace, "false"
		e.Request.RequestHeaders["traceparent"] = "00-" + trace + "-" + span + "-01"
	}, func(e out) bool { return e.TraceID == trace && !e.TraceSampled })
	f("the header of another trace", func(e in) {
		e.CommonProperties.CustomTags["trace_id"] = trace
		e.Request.RequestHeaders["traceparent"] = "00-" + strings.Repeat("a", 32) + "-" + span + "-01"
	}, func(e out) bool { return e.TraceID == trace && !e.TraceSampled })
	f("traceparent, not sampled", func(e in) { e.Request.RequestHeaders["traceparent"] = "00-" + trace + "-" + span + "-00" },
		func(e out) bool { return e.TraceID == trace && !e.TraceSampled })
	f("B3", func(e in) {
		e.Request.RequestHeaders["x-b3-traceid"], e.Request.RequestHeaders["x-b3-sampled"] = b3, "1"
	},
		func(e out) bool { return e.TraceID == b3 && e.TraceSampled })
	for _, v := range []string{"1", "d", "1-" + span, "d-" + span} {
		f("b3 "+v, func(e in) {
			delete(e.Request.RequestHeaders, "x-b3-traceid")
			e.Request.RequestHeaders["b3"] = trace + "-" + span + "-" + v
		}, func(e out) bool { return e.TraceID == trace && e.TraceSampled })
	}
	for _, v := range []string{trace + "-" + span, trace + "-" + span + "-0", trace + "-" + span + "-10", trace, trace + "-"} {
		f("b3 "+v, func(e in) {
			delete(e.Request.RequestHeaders, "x-b3-traceid")
			e.Request.RequestHeaders["b3"] = v
		}, func(e out) bool { return e.TraceID == trace && !e.TraceSampled })
	}
	for v, sampled := range map[string]bool{":" + span + ":0:1": true, ":" + span + ":0:3": true, ":" + span + ":0:0": false, ":1": true} {
		f("uber-trace-id "+v, func(e in) {
			delete(e.Request.RequestHeaders, "x-b3-traceid")
			e.Request.RequestHeaders["uber-trace-id"] = trace + v
		}, func(e out) bool { return e.TraceID == trace && e.TraceSampled == sampled })
	}
	f("uber-trace-id without an end", func(e in) {
		delete(e.Request.RequestHeaders, "x-b3-traceid")
		e.Request.RequestHeaders["uber-trace-id"] = trace + ":"
	}, func(e out) bool { return e.TraceID == "" })
	f("a proxy that traces", func(e in) {
		e.CommonProperties.CustomTags["trace_id"], e.CommonProperties.CustomTags["span_id"] = trace, span
	}, func(e out) bool { return e.Traced })
	f("a copy of a header", func(e in) {
		delete(e.Request.RequestHeaders, "x-b3-traceid")
		e.CommonProperties.CustomTags["trace_id"] = trace
	}, func(e out) bool { return !e.Traced && e.RequestID != "" })
	f("ids that are none", func(e in) {
		e.CommonProperties.CustomTags = map[string]string{"trace_id": "<script>", "span_id": "zz"}
		e.Request.RequestHeaders["traceparent"] = "00-zzz"
		e.Request.RequestHeaders["x-b3-traceid"] = "463ac35c9f6413aX"
	}, func(e out) bool { return e.TraceID == "" && e.SpanID == "" && !e.TraceSampled })
}

// TestSkipped sends one entry of every type and flag.
func TestSkipped(t *testing.T) {
	f := func(typ alfv3.AccessLogType, intermediate bool, http, tcp string) {
		t.Helper()
		for i, want := range []string{http, tcp} {
			sink := new(memorySink)
			s, reg := newTestServer(t, sink, nil)
			st := identified(t, s)
			m := sampleMessage(0, 1)
			c := m.GetHttpLogs().GetLogEntry()[0].GetCommonProperties()
			if i == 1 {
				m = tcpMessage(tcpEntry("c", time.Now(), typ, 1, 2))
				c = m.GetTcpLogs().GetLogEntry()[0].GetCommonProperties()
			}
			c.AccessLogType = typ
			c.IntermediateLogEntry = intermediate //lint:ignore SA1019 older proxies still set it
			if err := st.message(mustMarshal(t, m), time.Now()); err != nil {
				t.Fatal(err)
			}
			got := "counted"
			for _, why := range skipNames {
				if ingesttest.Metric(t, reg, "tallygate_als_entries_skipped_total", why) == 1 {
					got = why
				}
			}
			if got != want || (got == "counted") != (len(sink.all()) == 1) {
				t.Errorf("%v, intermediate %v, TCP %v: %s; want %s", typ, intermediate, i == 1, got, want)
			}
			checkBooks(t, reg, len(sink.all()))
		}
	}
	f(alfv3.AccessLogType_NotSet, false, "counted", "counted")
	f(alfv3.AccessLogType_NotSet, true, "intermediate", "counted")
	f(alfv3.AccessLogType_DownstreamEnd, false, "counted", "counted")
	f(alfv3.AccessLogType_DownstreamStart, false, "start", "counted")
	f(alfv3.AccessLogType_DownstreamPeriodic, true, "intermediate", "counted")
	f(alfv3.AccessLogType_DownstreamTunnelSuccessfullyEstablished, false, "intermediate", "counted")
	f(alfv3.AccessLogType_UpstreamPoolReady, false, "upstream", "upstream")
	f(alfv3.AccessLogType_UpstreamPeriodic, false, "upstream", "upstream")
	f(alfv3.AccessLogType_UpstreamEnd, false, "upstream", "upstream")
	f(alfv3.AccessLogType_UdpTunnelUpstreamConnected, false, "udp", "udp")
	f(alfv3.AccessLogType_UdpPeriodic, false, "udp", "udp")
	f(alfv3.AccessLogType_UdpSessionEnd, false, "udp", "udp")
	f(alfv3.AccessLogType_TcpConnectionStart, false, "counted", "start")
	f(alfv3.AccessLogType_TcpUpstreamConnected, true, "intermediate", "counted")
	f(alfv3.AccessLogType_TcpPeriodic, true, "intermediate", "counted")
	f(alfv3.AccessLogType_TcpConnectionEnd, false, "counted", "counted")
}

func TestIsHex(t *testing.T) {
	for c := range 256 {
		want := c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
		for at := range 19 {
			b := []byte("0123456789abcdefABC")
			b[at] = byte(c)
			if got := isHex(string(b)); got != want {
				t.Errorf("isHex(%q) = %v; want %v", b, got, want)
			}
		}
	}
}

// TestMetadataLabels: a label takes what a filter has left in the dynamic metadata,
// if it is a text.
func TestMetadataLabels(t *testing.T) {
	f := func(name string, want string, metadata map[string]map[string]any) {
		t.Helper()
		in := sampleEntry(0)
		in.CommonProperties.Metadata = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{}}
		for filter, fields := range metadata {
			in.CommonProperties.Metadata.FilterMetadata[filter] = mustStruct(t, fields)
		}
		r := new(record)
		set := newLabelSet([]mesh.CustomLabel{{Name: "none"}, {Name: "policy_rule", Metadata: "envoy.filters.http.ext_authz:policy_rule"}})
		r.setLabels(set)
		if !r.decode(mustMarshal(t, in), false) {
			t.Fatalf("%s: malformed", name)
		}
		if got := set.canonical(r).values.Value(); got != "unknown\x00"+want+"\x00" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	const filter = "envoy.filters.http.ext_authz"
	f("there", "a.b:7", map[string]map[string]any{filter: {"decision_id": "x", "policy_rule": "a.b:7"}, "other": {"policy_rule": "c"}})
	f("no metadata", "unknown", nil)
	f("another filter", "unknown", map[string]map[string]any{"other": {"policy_rule": "c"}})
	f("another key", "unknown", map[string]map[string]any{filter: {"rule": "c"}})
	f("no text", "unknown", map[string]map[string]any{filter: {"policy_rule": 7.0}})
	f("long", strings.Repeat("x", 200), map[string]map[string]any{filter: {"policy_rule": strings.Repeat("x", 200)}})
}
