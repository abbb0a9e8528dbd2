package als

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alfv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tallygate/tallygate/mesh"
)

// detailOracle reads a Detail with the generated code.
func detailOracle(e *alfv3.HTTPAccessLogEntry) (d mesh.Detail) {
	c, q := e.GetCommonProperties(), e.GetRequest()
	d.HTTPVersion = map[alfv3.HTTPAccessLogEntry_HTTPVersion]string{
		alfv3.HTTPAccessLogEntry_HTTP10: "1.0", alfv3.HTTPAccessLogEntry_HTTP11: "1.1", alfv3.HTTPAccessLogEntry_HTTP2: "2", alfv3.HTTPAccessLogEntry_HTTP3: "3",
	}[e.GetProtocolVersion()]
	d.Scheme, d.Authority, d.Path, d.UserAgent = q.GetScheme(), q.GetAuthority(), q.GetPath(), q.GetUserAgent()
	d.RequestID = c.GetStreamId()
	for _, id := range []string{q.GetRequestId(), q.GetRequestHeaders()["x-request-id"]} {
		if id != "" {
			d.RequestID = id
		}
	}
	d.CodeDetails, d.Route, d.UpstreamCluster = e.GetResponse().GetResponseCodeDetails(), c.GetRouteName(), c.GetUpstreamCluster()
	d.UpstreamFailure, d.Attempts = c.GetUpstreamTransportFailureReason(), c.GetUpstreamRequestAttemptCount()
	d.TLSVersion = map[alfv3.TLSProperties_TLSVersion]string{
		alfv3.TLSProperties_TLSv1: "1.0", alfv3.TLSProperties_TLSv1_1: "1.1", alfv3.TLSProperties_TLSv1_2: "1.2", alfv3.TLSProperties_TLSv1_3: "1.3",
	}[c.GetTlsProperties().GetTlsVersion()]
	addr := func(a *corev3.Address) mesh.Addr {
		if p := a.GetPipe(); p != nil {
			return mesh.Addr{Host: p.GetPath()}
		}
		return mesh.Addr{Host: a.GetSocketAddress().GetAddress(), Port: a.GetSocketAddress().GetPortValue()}
	}
	d.Client, d.Peer = addr(c.GetDownstreamRemoteAddress()), addr(c.GetDownstreamDirectRemoteAddress())
	d.Local, d.Server = addr(c.GetDownstreamLocalAddress()), addr(c.GetUpstreamRemoteAddress())
	for i, p := range []*durationpb.Duration{
		c.GetTimeToLastRxByte(), c.GetTimeToFirstUpstreamTxByte(), c.GetTimeToLastUpstreamTxByte(), c.GetTimeToFirstUpstreamRxByte(),
		c.GetTimeToLastUpstreamRxByte(), c.GetTimeToFirstDownstreamTxByte(), c.GetTimeToLastDownstreamTxByte(),
	} {
		d.Points[i] = -1
		if p != nil {
			d.Points[i] = p.AsDuration()
		}
	}
	authz := c.GetMetadata().GetFilterMetadata()["envoy.filters.http.ext_authz"].GetFields()
	d.DecisionID, d.PolicyRule = authz["decision_id"].GetStringValue(), authz["policy_rule"].GetStringValue()
	h := q.GetRequestHeaders()
	d.Traceparent, d.Tracestate, d.B3, d.Uber = h["traceparent"], h["tracestate"], h["b3"], h["uber-trace-id"]
	d.B3TraceID, d.B3SpanID, d.B3ParentID, d.B3Flags, d.B3Sampled = h["x-b3-traceid"], h["x-b3-spanid"], h["x-b3-parentspanid"], h["x-b3-flags"], h["x-b3-sampled"]
	return d
}

func checkDetail(t *testing.T, e *alfv3.HTTPAccessLogEntry) {
	t.Helper()
	var d mesh.Detail
	if !(details{}).ReadDetail(&mesh.Entry{Wire: mustMarshal(t, e)}, &d) {
		t.Fatalf("no detail of %v", e)
	}
	if want := detailOracle(e); !reflect.DeepEqual(d, want) {
		t.Errorf("got\n%+v\nwant\n%+v", d, want)
	}
}

func TestDetail(t *testing.T) {
	e := sampleEntry(1)
	checkDetail(t, e)
	for k, v := range map[string]string{
		"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate": "a=b", "b3": "0",
		"uber-trace-id": "1:2:0:1", "x-b3-parentspanid": "1", "x-b3-flags": "1", "x-request-id": "given",
	} {
		e.Request.RequestHeaders[k] = v
	}
	e.CommonProperties.Metadata = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
		"envoy.filters.http.ext_authz": mustStruct(t, map[string]any{"decision_id": "d", "policy_rule": "a.rego:1", "n": 1.5}),
		"other":                        mustStruct(t, map[string]any{"decision_id": "x"}),
	}}
	e.CommonProperties.UpstreamTransportFailureReason = "refused"
	e.CommonProperties.TimeToLastRxByte = nil
	e.CommonProperties.TimeToLastDownstreamTxByte = durationpb.New(0)
	e.CommonProperties.UpstreamRemoteAddress = &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: "/run/app"}}}
	checkDetail(t, e)
	checkDetail(t, new(alfv3.HTTPAccessLogEntry))
	if (details{}).ReadDetail(new(mesh.Entry), new(mesh.Detail)) {
		t.Error("an entry without bytes has details")
	}
}

// TestDetailOfFrames reads what real Envoys sent.
func TestDetailOfFrames(t *testing.T) {
	paths, err := filepath.Glob("testdata/frames/http-*.bin")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m := new(alsv3.StreamAccessLogsMessage)
		if err := proto.Unmarshal(data, m); err != nil {
			t.Fatal(err)
		}
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			checkDetail(t, e)
		}
	}
}

// TestDetailHostile: truncated and altered entries are read or refused.
func TestDetailHostile(t *testing.T) {
	b := mustMarshal(t, sampleEntry(0))
	for i := range b {
		for _, e := range [][]byte{b[:i], append(append([]byte(nil), b[:i]...), b[i:]...)} {
			if len(e) == len(b) {
				e[i] ^= 0x55
			}
			for _, p := range []mesh.Protocol{mesh.ProtocolHTTP, mesh.ProtocolTCP} {
				(details{}).ReadDetail(&mesh.Entry{Wire: e, Protocol: p}, new(mesh.Detail))
			}
		}
	}
}

// TestWireIsLent: every entry of a batch brings its bytes.
func TestWireIsLent(t *testing.T) {
	sink := new(detailSink)
	s, _ := newTestServer(t, sink, nil)
	if err := identified(t, s).message(mustMarshal(t, sampleMessage(7, 3)), time.Now()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/reviews/7", "/reviews/8", "/reviews/9"}; !reflect.DeepEqual(sink.paths, want) {
		t.Errorf("paths %v; want %v", sink.paths, want)
	}
}

// detailSink keeps the paths of requests.
type detailSink struct{ paths []string }

func (s *detailSink) Consume(_ context.Context, b *mesh.Batch) error {
	for i := range b.Entries {
		var d mesh.Detail
		if b.Details.ReadDetail(&b.Entries[i], &d) {
			s.paths = append(s.paths, strings.Clone(d.Path))
		}
	}
	return nil
}
