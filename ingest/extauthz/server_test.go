package extauthz

import (
	"context"
	"errors"
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
	"google.golang.org/protobuf/proto"
)

func tcpRequest() *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Source: &authv3.AttributeContext_Peer{Address: socket("10.0.0.1", 1)}}}
}

func TestCheck(t *testing.T) {
	var got mesh.Query
	s, reg := newTestServer(t, deciderFunc(func(_ context.Context, q *mesh.Query) (mesh.Decision, error) {
		got = *q
		m, _ := q.Request.Lookup(mesh.Path{"attributes", "request", "http", "method"})
		return mesh.Decision{Verdict: &mesh.Verdict{Allowed: m.Text == "GET", Status: 401, Rule: "r"}, ID: "id"}, nil
	}), nil)
	client := dial(t, s)
	check := func(req *authv3.CheckRequest) *authv3.CheckResponse {
		t.Helper()
		resp, err := client.Check(t.Context(), req)
		if err != nil {
			t.Fatalf("check: %v", err)
		}
		if id := resp.GetDynamicMetadata().GetFields()["decision_id"].GetStringValue(); id != "id" {
			t.Errorf("decision id %q", id)
		}
		return resp
	}
	req := sampleRequest(1)
	req.Attributes.ContextExtensions["tallygate.entrypoint"] = "orders"
	if resp := check(req); resp.GetStatus().GetCode() != 0 || resp.GetOkResponse() == nil {
		t.Errorf("GET: %v", resp)
	}
	if got.Entrypoint != "orders" || got.Listener != mesh.ListenerExtAuthzHTTP || got.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("query: %+v", got)
	}
	req.Attributes.Request.Http.Method = "POST"
	if resp := check(req); resp.GetDeniedResponse().GetStatus().GetCode() != 401 {
		t.Errorf("POST: %v", resp)
	}
	if resp := check(tcpRequest()); resp.GetStatus().GetCode() != int32(codes.PermissionDenied) || resp.GetHttpResponse() != nil {
		t.Errorf("TCP: %v", resp)
	}
	if got.Entrypoint != "" || got.Listener != mesh.ListenerExtAuthzTCP {
		t.Errorf("query: %+v", got)
	}
	for _, want := range [][]string{{"ext_authz_http", "allow"}, {"ext_authz_http", "deny"}, {"ext_authz_tcp", "deny"}} {
		if n := ingesttest.Metric(t, reg, "tallygate_extauthz_checks_total", want...); n != 1 {
			t.Errorf("checks%v = %v; want 1", want, n)
		}
	}
	if n := ingesttest.Metric(t, reg, "tallygate_extauthz_check_duration_seconds"); n != 3 {
		t.Errorf("durations: %v; want 3", n)
	}
}

func TestCheckRefusesMalformedFrames(t *testing.T) {
	s, reg := newTestServer(t, always(&mesh.Verdict{Allowed: true}), nil)
	conn := ingesttest.Serve(t, s.Register)
	data := mustMarshal(t, sampleRequest(1))
	var reply ingest.Frame
	err := conn.Invoke(t.Context(), "/envoy.service.auth.v3.Authorization/Check", ingest.NewFrame(data[:len(data)-10]), &reply, grpc.ForceCodecV2(ingest.Codec()))
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("truncated: %v; want InvalidArgument", err)
	}
	if n := ingesttest.Metric(t, reg, "tallygate_extauthz_frames_refused_total", frameMalformed); n != 1 {
		t.Errorf("refused frames: %v; want 1", n)
	}
}

func TestFailures(t *testing.T) {
	f := func(name string, o OnError, fails func(ctx context.Context) error, reason, outcome string, check func(*authv3.CheckResponse) bool) {
		t.Helper()
		s, reg := newTestServer(t, deciderFunc(func(ctx context.Context, _ *mesh.Query) (mesh.Decision, error) {
			return mesh.Decision{}, fails(ctx)
		}), func(c *Config) {
			c.OnError, c.Timeout = o, time.Minute
			if reason == ingest.FailedDeadline {
				c.Timeout = 20 * time.Millisecond
			}
			c.Entrypoints = map[string]EntrypointConfig{"open": {OnError: OnErrorAllow}}
		})
		client := dial(t, s)
		for _, req := range []*authv3.CheckRequest{sampleRequest(1), tcpRequest()} {
			resp, err := client.Check(t.Context(), req)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			meta := resp.GetDynamicMetadata().GetFields()
			if !check(resp) || len(meta["decision_id"].GetStringValue()) != 32 || meta["policy_error"].GetStringValue() != reason {
				t.Errorf("%s: %v", name, resp)
			}
		}
		if n := ingesttest.Metric(t, reg, "tallygate_extauthz_checks_total", outcome); n != 2 {
			t.Errorf("%s: checks %s = %v; want 2", name, outcome, n)
		}
		if n := ingesttest.Metric(t, reg, "tallygate_extauthz_failures_total", reason); n != 2 {
			t.Errorf("%s: failures %s = %v; want 2", name, reason, n)
		}
		open := sampleRequest(1)
		open.Attributes.ContextExtensions["tallygate.entrypoint"] = "open"
		if resp, err := client.Check(t.Context(), open); err != nil || resp.GetStatus().GetCode() != 0 {
			t.Errorf("%s: an entrypoint that fails open: %v, %v", name, resp, err)
		}
	}
	deny := func(r *authv3.CheckResponse) bool { return r.GetStatus().GetCode() == int32(codes.PermissionDenied) }
	allow := func(r *authv3.CheckResponse) bool { return r.GetStatus().GetCode() == 0 }
	broken := func(context.Context) error { return errors.New("broken") }
	stalls := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	f("deny", OnErrorDeny, broken, ingest.FailedError, "error_deny", deny)
	f("allow", OnErrorAllow, broken, ingest.FailedError, "error_allow", allow)
	f("error_response", OnErrorResponse, broken, ingest.FailedError, "error_response", func(r *authv3.CheckResponse) bool {
		return r.GetErrorResponse() != nil && r.GetStatus().GetCode() != 0
	})
	f("stalled", OnErrorDeny, stalls, ingest.FailedDeadline, "error_deny", deny)
	f("stalled open", OnErrorAllow, stalls, ingest.FailedDeadline, "error_allow", allow)
	f("panic", OnErrorDeny, func(context.Context) error { panic("no") }, ingest.FailedPanic, "error_deny", deny)
	f("no verdict", OnErrorDeny, func(context.Context) error { return nil }, ingest.FailedError, "error_deny", deny)
}

func TestShedsAboveTheLimit(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{}, 2)
	s, reg := newTestServer(t, deciderFunc(func(context.Context, *mesh.Query) (mesh.Decision, error) {
		entered <- struct{}{}
		<-release
		return mesh.Decision{Verdict: &mesh.Verdict{Allowed: true}}, nil
	}), func(c *Config) { c.MaxInFlight, c.Timeout = 2, time.Minute })
	client := dial(t, s)
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := client.Check(context.Background(), sampleRequest(1))
			results <- err
		}()
	}
	<-entered
	<-entered
	resp, err := client.Check(t.Context(), sampleRequest(1))
	if err != nil || resp.GetStatus().GetCode() != int32(codes.PermissionDenied) {
		t.Errorf("above the limit: %v, %v; want a denial", resp, err)
	}
	if n := ingesttest.Metric(t, reg, "tallygate_extauthz_checks_in_flight"); n != 2 {
		t.Errorf("in flight: %v; want 2", n)
	}
	close(release)
	for range 2 {
		if err := <-results; err != nil {
			t.Errorf("check: %v", err)
		}
	}
	if n := ingesttest.Metric(t, reg, "tallygate_extauthz_checks_total", "shed"); n != 1 {
		t.Errorf("shed: %v; want 1", n)
	}
	if n := ingesttest.Metric(t, reg, "tallygate_extauthz_failures_total", ingest.FailedOverload); n != 1 {
		t.Errorf("failures: %v; want 1", n)
	}
	if n := ingesttest.Metric(t, reg, "tallygate_extauthz_checks_in_flight"); n != 0 {
		t.Errorf("in flight: %v; want 0", n)
	}
}

func TestUnreadableRequestsAreDenied(t *testing.T) {
	f := func(reason problem, change func(*authv3.AttributeContext_HttpRequest)) {
		t.Helper()
		s, reg := newTestServer(t, deciderFunc(func(context.Context, *mesh.Query) (mesh.Decision, error) {
			t.Errorf("%s: the decider was asked", reason)
			return mesh.Decision{Verdict: &mesh.Verdict{Allowed: true}}, nil
		}), nil)
		req := sampleRequest(1)
		change(req.GetAttributes().GetRequest().GetHttp())
		resp, err := dial(t, s).Check(t.Context(), req)
		if err != nil || resp.GetDeniedResponse().GetStatus().GetCode() != 400 {
			t.Errorf("%s: %v, %v; want 400", reason, resp, err)
		}
		if n := ingesttest.Metric(t, reg, "tallygate_extauthz_requests_refused_total", string(reason)); n != 1 {
			t.Errorf("%s: refused %v; want 1", reason, n)
		}
		if n := ingesttest.Metric(t, reg, "tallygate_extauthz_checks_total", "refused"); n != 1 {
			t.Errorf("%s: checks refused %v; want 1", reason, n)
		}
	}
	path := func(p string) func(h *authv3.AttributeContext_HttpRequest) {
		return func(h *authv3.AttributeContext_HttpRequest) { h.Path = p }
	}
	body := func(contentType, body string) func(h *authv3.AttributeContext_HttpRequest) {
		return func(h *authv3.AttributeContext_HttpRequest) {
			h.Headers["content-type"], h.Body = contentType, body
		}
	}
	f(badPath, path("/%zz"))
	f(badPath, path("/%ff"))
	f(badPath, path("/?a=%zz"))
	f(badPath, path("/?a=%ff"))
	f(badPath, path("/?a=1;b=2"))
	f(badBody, body("application/json", `{`))
	f(badBody, body("application/json", `{} {}`))
	f(badBody, body("application/x-www-form-urlencoded", "a=%zz"))
	f(badBody, body("multipart/form-data; boundary=x", "--x\r\nno header\r\n\r\n--x--"))
	f(badBody, body("multipart/form-data; boundary", "x"))
	f(badBody, func(h *authv3.AttributeContext_HttpRequest) {
		h.Headers["content-type"], h.Headers["content-length"], h.Body = "application/json", "many", "{}"
	})
}

// A refusal must not depend on what was looked up, other than that it was.
func TestDamageInsideDenies(t *testing.T) {
	damaged := append(mustMarshal(t, sampleRequest(1)), 1<<3|wire.Bytes, 4, 1<<3|wire.Bytes, 2, 1<<3|wire.Bytes, 0)
	damaged[len(damaged)-1], damaged[len(damaged)-2] = 9, 1<<3|wire.Bytes // an address whose socket_address is cut off
	s, _ := newTestServer(t, deciderFunc(func(_ context.Context, q *mesh.Query) (mesh.Decision, error) {
		q.Request.Lookup(mesh.Path{"attributes", "source", "address"})
		return mesh.Decision{Verdict: &mesh.Verdict{Allowed: true}}, nil
	}), nil)
	var reply ingest.Frame
	err := ingesttest.Serve(t, s.Register).Invoke(t.Context(), "/envoy.service.auth.v3.Authorization/Check", ingest.NewFrame(damaged), &reply, grpc.ForceCodecV2(ingest.Codec()))
	if err == nil {
		var resp authv3.CheckResponse
		if err := proto.Unmarshal(reply.Bytes(), &resp); err != nil || resp.GetDeniedResponse().GetStatus().GetCode() != 400 {
			t.Errorf("%v, %v; want 400", &resp, err)
		}
	} else if status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
}
