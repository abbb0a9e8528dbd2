package extauthz

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// curious asks for everything.
var curious = deciderFunc(func(_ context.Context, q *mesh.Query) (mesh.Decision, error) {
	q.Request.Lookup(nil)
	return mesh.Decision{Verdict: &mesh.Verdict{Allowed: true}}, nil
})

func TestHostileRequests(t *testing.T) {
	s, reg := newTestServer(t, curious, func(c *Config) { c.Timeout = time.Minute })
	conn := ingesttest.Serve(t, s.Register)
	client := authv3.NewAuthorizationClient(conn)
	check := func(name string, want codes.Code, req *authv3.CheckRequest) *authv3.CheckResponse {
		t.Helper()
		resp, err := client.Check(t.Context(), req, grpc.MaxCallSendMsgSize(64<<20))
		if status.Code(err) != want {
			t.Errorf("%s: %v; want %s", name, err, want)
		}
		return resp
	}
	with := func(change func(h *authv3.AttributeContext_HttpRequest)) *authv3.CheckRequest {
		req := sampleRequest(1)
		change(req.GetAttributes().GetRequest().GetHttp())
		return req
	}
	check("10 MB of body", codes.ResourceExhausted, with(func(h *authv3.AttributeContext_HttpRequest) { h.RawBody = make([]byte, 10<<20) }))
	if n := ingesttest.Metric(t, reg, "tallygate_extauthz_frames_refused_total", frameTooLarge); n != 1 {
		t.Errorf("frames that are too large: %v; want 1", n)
	}
	check("3 MB of JSON", codes.OK, with(func(h *authv3.AttributeContext_HttpRequest) {
		h.Headers["content-type"], h.Body = "application/json", strings.Repeat("[", 3<<20)
	}))
	deep := check("deep JSON", codes.OK, with(func(h *authv3.AttributeContext_HttpRequest) {
		h.Headers["content-type"], h.Body = "application/json", strings.Repeat("[", 1<<19)
	}))
	if deep.GetDeniedResponse().GetStatus().GetCode() != 400 {
		t.Errorf("deep JSON: %v", deep)
	}
	check("1,000 headers", codes.OK, with(func(h *authv3.AttributeContext_HttpRequest) {
		for i := range 1000 {
			h.Headers[fmt.Sprintf("x-%d", i)] = strings.Repeat("v", 100)
		}
	}))
	check("a path of 1 MB", codes.OK, with(func(h *authv3.AttributeContext_HttpRequest) { h.Path = strings.Repeat("/a", 1<<19) }))
	check("a query of 100,000 names", codes.OK, with(func(h *authv3.AttributeContext_HttpRequest) { h.Path = "/?" + strings.Repeat("a&", 100_000) }))

	// Invalid UTF-8 as no generated client would send it.
	raw := func(name string, data []byte, want codes.Code) {
		t.Helper()
		var reply ingest.Frame
		err := conn.Invoke(t.Context(), "/envoy.service.auth.v3.Authorization/Check", ingest.NewFrame(data), &reply, grpc.ForceCodecV2(ingest.Codec()))
		if status.Code(err) != want {
			t.Errorf("%s: %v; want %s", name, err, want)
		}
	}
	in := func(b []byte, nums ...protowire.Number) []byte {
		for _, num := range nums {
			b = protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
		}
		return b
	}
	raw("method", in([]byte("GE\xff"), 2, 2, 4, 1), codes.InvalidArgument)
	raw("header", in(appendPair(nil, "x", "\xff"), 3, 2, 4, 1), codes.InvalidArgument)
	raw("principal", in([]byte{0xc0, 0x80}, 4, 1, 1), codes.InvalidArgument)
	raw("raw body", in([]byte{0xff}, 12, 2, 4, 1), codes.OK)
	raw("a length beyond the end", []byte{1<<3 | wire.Bytes, 0xff, 0xff, 0xff, 0xff, 0x0f}, codes.InvalidArgument)
	raw("an overlong varint", append([]byte{1<<3 | wire.Varint}, strings.Repeat("\xff", 20)...), codes.InvalidArgument)
	raw("field 0", []byte{0, 0}, codes.InvalidArgument)
	if n := ingesttest.Metric(t, reg, "tallygate_extauthz_frames_refused_total", frameMalformed); n != 6 {
		t.Errorf("refused frames: %v; want 6", n)
	}
}

func TestDamagedFramesNeverPanic(t *testing.T) {
	l := newTestLens()
	sample := mustMarshal(t, sampleRequest(1))
	f := func(data []byte) {
		t.Helper()
		if !l.reset(data) {
			return
		}
		l.parse()
		l.Lookup(nil)
		l.Lookup(mesh.Path{"attributes", "metadataContext", "filterMetadata", "envoy.filters.http.jwt_authn", "payload"})
		l.release()
	}
	for i := range sample {
		f(sample[:i])
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		data := append([]byte(nil), sample...)
		for range 1 + r.IntN(4) {
			data[r.IntN(len(data))] = byte(r.Uint32())
		}
		f(data)
	}
}

// A pooled check must not show one request's values to the next.
func TestLensForgets(t *testing.T) {
	l := newTestLens()
	req := sampleRequest(1)
	req.Attributes.Request.Http.Headers["content-type"] = "application/json"
	req.Attributes.Request.Http.Body = `{"a": 1}`
	if !l.reset(mustMarshal(t, req)) || l.parse() != "" {
		t.Fatal("malformed")
	}
	l.Lookup(nil)
	l.release()
	if !l.reset(mustMarshal(t, tcpRequest())) {
		t.Fatal("malformed")
	}
	got, _ := l.Lookup(nil)
	const want = `{"attributes":{"source":{"address":{"socketAddress":{"address":"10.0.0.1","portValue":1}}}},` +
		`"parsed_body":null,"parsed_path":[""],"parsed_query":{},"truncated_body":false,"version":{"encoding":"protojson","ext_authz":"v3"}}`
	if g := mustJSON(t, plain(got)); g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
}
