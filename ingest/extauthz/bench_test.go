package extauthz

import (
	"context"
	"syscall"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/grpc"
)

func cpuTime(b *testing.B) int64 {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		b.Fatal(err)
	}
	return ru.Utime.Nano() + ru.Stime.Nano()
}

// bare is a server that decodes nothing and always says the same.
var bare = grpc.ServiceDesc{
	ServiceName: "envoy.service.auth.v3.Authorization",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Check",
		Handler: func(srv any, _ context.Context, receive func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var f ingest.Frame
			defer f.Free()
			if err := receive(&f); err != nil {
				return nil, err
			}
			return srv, nil
		},
	}},
}

// BenchmarkCheck is CPU time per check of client and server together, over
// loopback: the difference between two is the server's.
func BenchmarkCheck(b *testing.B) {
	verdict := &mesh.Verdict{Allowed: true, Rule: "policy/rules.rego:7"}
	s, _ := newTestServer(b, deciderFunc(func(_ context.Context, q *mesh.Query) (mesh.Decision, error) {
		for _, p := range []mesh.Path{{"attributes", "request", "http", "method"}, {"parsed_path"}, {"attributes", "source", "principal"}} {
			q.Request.Lookup(p)
		}
		return mesh.Decision{Verdict: verdict, ID: "0123456789abcdef0123456789abcdef"}, nil
	}), nil)
	answer := ingest.NewFrame(mustMarshal(b, &authv3.CheckResponse{HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}}}))
	request := ingest.NewFrame(mustMarshal(b, sampleRequest(1)))
	for name, register := range map[string]func(grpc.ServiceRegistrar){
		"tallygate": s.Register,
		"bare":      func(r grpc.ServiceRegistrar) { r.RegisterService(&bare, answer) },
	} {
		b.Run(name, func(b *testing.B) {
			conn := ingesttest.Serve(b, register)
			b.ReportAllocs()
			before := cpuTime(b)
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					var reply ingest.Frame
					if err := conn.Invoke(b.Context(), "/envoy.service.auth.v3.Authorization/Check", request, &reply, grpc.ForceCodecV2(ingest.Codec())); err != nil {
						b.Error(err)
						return
					}
					reply.Free()
				}
			})
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/check")
		})
	}
}

// BenchmarkHandler is the handler alone.
func BenchmarkHandler(b *testing.B) {
	s, _ := newTestServer(b, always(&mesh.Verdict{Allowed: true, Rule: "policy/rules.rego:7"}), nil)
	data := mustMarshal(b, sampleRequest(1))
	receive := func(f any) error { *f.(*ingest.Frame) = *ingest.NewFrame(data); return nil }
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		if _, err := s.serve(b.Context(), receive); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/check")
}
