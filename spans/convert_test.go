package spans

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
	"unique"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/mesh"
)

// sample is a request of the frontend to the cart.
func sample() (mesh.Entry, mesh.Detail) {
	d := mesh.Detail{
		HTTPVersion: "1.1", Scheme: "https", Authority: "cart.shop:8080", Path: "/items/7?key=secret", UserAgent: "curl/8",
		RequestID: "r", CodeDetails: "via_upstream", Route: "items", UpstreamCluster: "outbound|8080||cart.shop", TLSVersion: "1.3", Attempts: 3,
		Client: mesh.Addr{Host: "10.0.0.1", Port: 1111}, Peer: mesh.Addr{Host: "10.0.0.2", Port: 2222},
		Local: mesh.Addr{Host: "10.0.0.3", Port: 80}, Server: mesh.Addr{Host: "10.0.0.4", Port: 8080},
		DecisionID: "d1", PolicyRule: "policy.rego:7",
	}
	for i := range d.Points {
		d.Points[i] = -1
	}
	d.Points[mesh.PointUpstreamStart], d.Points[mesh.PointResponseSent] = time.Millisecond, 5*time.Millisecond
	w := mesh.Workload{Name: "frontend-v1", Namespace: "shop", CanonicalService: "frontend", CanonicalRevision: "v1", Principal: "spiffe://x/ns/shop/sa/frontend", App: "frontend", Version: "v1", Cluster: "east"}
	return mesh.Entry{
		Source: unique.Make(w), Destination: unique.Make(mesh.UnknownWorkload()),
		Service: unique.Make(mesh.DestinationService{Host: "cart.shop.svc.cluster.local", Name: "cart", Namespace: "shop"}), Reporter: mesh.ReporterSource,
		GRPCStatus: mesh.NoGRPCStatus, Code: 200, Method: "GET", Duration: 5 * time.Millisecond, Start: time.Unix(1000, 0),
		RequestBytes: 100, ResponseBytes: 200,
	}, d
}

func TestFill(t *testing.T) {
	// f fills a span of the sample, changed, and compares what is named in want,
	// where nil means that the attribute is not there.
	f := func(change func(e *mesh.Entry, d *mesh.Detail), query bool, want map[string]any) {
		t.Helper()
		e, d := sample()
		change(&e, &d)
		s := ptrace.NewSpan()
		p := place{trace: traceID{1}, span: spanID{2}, parent: spanID{3}, state: "a=b"}
		fill(s, &e, &d, &p, query)
		got := s.Attributes().AsRaw()
		for k, v := range map[string]any{
			"_name": s.Name(), "_kind": s.Kind().String(), "_status": s.Status().Code().String(), "_message": s.Status().Message(),
			"_events": fmt.Sprint(s.Events().Len()), "_state": s.TraceState().AsRaw(),
			"_duration": s.EndTimestamp().AsTime().Sub(s.StartTimestamp().AsTime()).String(),
		} {
			got[k] = v
		}
		for k, v := range want {
			if n, ok := v.(int); ok {
				v = int64(n)
			}
			if !reflect.DeepEqual(got[k], v) {
				t.Errorf("%s = %#v; want %#v", k, got[k], v)
			}
		}
	}
	type m = map[string]any
	as := func(*mesh.Entry, *mesh.Detail) {}
	f(as, false, m{
		"_name": "GET", "_kind": "Client", "_status": "Unset", "_events": "2", "_state": "a=b", "_duration": "5ms",
		"http.request.method": "GET", "http.response.status_code": 200, "url.full": "https://cart.shop:8080/items/7",
		"url.path": "/items/7", "url.scheme": "https", "url.query": nil, "server.address": "cart.shop", "server.port": 8080,
		"user_agent.original": "curl/8", "network.protocol.version": "1.1",
		"network.peer.address": "10.0.0.4", "network.peer.port": 8080, "client.address": nil, "http.request.resend_count": 2,
		"http.request.size": 100, "http.response.size": 200, "source.workload": "frontend-v1", "source.principal": "spiffe://x/ns/shop/sa/frontend",
		"destination.workload": nil, "destination.service": "cart.shop.svc.cluster.local", "response_flags": nil, "response_code_details": nil, "upstream_request_attempts": 3,
		"decision_id": "d1", "policy_rule": "policy.rego:7", "guid:x-request-id": "r", "tls.protocol.version": "1.3", "error.type": nil, "reporter": "source",
	})
	f(as, true, m{"url.full": "https://cart.shop:8080/items/7?key=secret", "url.query": "key=secret"})
	f(func(e *mesh.Entry, _ *mesh.Detail) { e.Reporter = mesh.ReporterDestination }, false, m{
		"_kind": "Server", "url.full": nil, "client.address": "10.0.0.1", "network.peer.address": "10.0.0.2",
		"peer.service": "frontend", "http.request.resend_count": nil,
	})
	code := func(code uint32, r mesh.Reporter) func(*mesh.Entry, *mesh.Detail) {
		return func(e *mesh.Entry, _ *mesh.Detail) { e.Code, e.Reporter = code, r }
	}
	f(code(404, mesh.ReporterSource), false, m{"_status": "Error", "error.type": "404"})
	f(code(404, mesh.ReporterDestination), false, m{"_status": "Unset", "error.type": nil})
	f(code(503, mesh.ReporterDestination), false, m{"_status": "Error", "error.type": "503"})
	f(func(e *mesh.Entry, d *mesh.Detail) {
		e.Code, e.Flags, d.CodeDetails = 0, 1<<14, "downstream_remote_disconnect"
	}, false,
		m{"_status": "Error", "error.type": "DC", "_message": "downstream_remote_disconnect", "response_flags": "DC", "http.response.status_code": nil})
	f(func(e *mesh.Entry, d *mesh.Detail) { e.Code, e.Flags, d.UpstreamFailure = 503, 1<<5, "refused" }, false, m{"_message": "refused"})
	grpc := func(status int16, r mesh.Reporter) func(*mesh.Entry, *mesh.Detail) {
		return func(e *mesh.Entry, d *mesh.Detail) {
			e.Protocol, e.GRPCStatus, e.Reporter, e.Method, d.Path = mesh.ProtocolGRPC, status, r, "POST", "/shop.Cart/Add"
		}
	}
	f(grpc(0, mesh.ReporterSource), false, m{
		"_name": "shop.Cart/Add", "_status": "Unset", "rpc.system": "grpc", "rpc.service": "shop.Cart", "rpc.method": "Add", "rpc.grpc.status_code": 0,
	})
	f(grpc(5, mesh.ReporterSource), false, m{"_status": "Error", "error.type": "NOT_FOUND"})
	f(grpc(5, mesh.ReporterDestination), false, m{"_status": "Unset"})
	f(grpc(14, mesh.ReporterDestination), false, m{"_status": "Error", "error.type": "UNAVAILABLE"})
	f(grpc(99, mesh.ReporterSource), false, m{"_status": "Error", "error.type": "99"})
	f(func(e *mesh.Entry, d *mesh.Detail) { e.Method, d.Path, d.Authority = "", "", "" }, false,
		m{"_name": "HTTP", "http.request.method": nil, "url.path": nil, "url.full": nil, "server.address": nil})
	f(func(_ *mesh.Entry, d *mesh.Detail) { d.Path, d.Authority = `{"a":1}`, "[::1]:80" }, false,
		m{"url.path": `{"a":1}`, "server.address": "::1", "server.port": 80})
	f(func(_ *mesh.Entry, d *mesh.Detail) { d.UserAgent, d.Path = "\xff\xfe", strings.Repeat("é", 40_000) }, false,
		m{"user_agent.original": "\uFFFD", "url.path": strings.Repeat("é", maxText/2)})
}

func TestText(t *testing.T) {
	for _, s := range []string{"", "a", "\xff", strings.Repeat("\xff", 70_000), strings.Repeat("日", 70_000), strings.Repeat("a", maxText-1) + "日"} {
		if got := text(s); !utf8.ValidString(got) || len(got) > 3*maxText {
			t.Errorf("text of %d bytes: %d bytes, valid %v", len(s), len(got), utf8.ValidString(got))
		}
	}
}

func TestRPCName(t *testing.T) {
	f := func(path, service, method string, want bool) {
		t.Helper()
		if s, m, ok := rpcName(path); s != service || m != method || ok != want {
			t.Errorf("rpcName(%q) = %q, %q, %v", path, s, m, ok)
		}
	}
	f("/a.B/C", "a.B", "C", true)
	f("/a.B/C?x=/y/z", "a.B", "C", true)
	f("/a/b.B/C", "a/b.B", "C", true)
	f("/C", "", "", false)
	f("//C", "", "", false)
	f("/a/", "", "", false)
	f("a/b", "", "", false)
	f("", "", "", false)
}
