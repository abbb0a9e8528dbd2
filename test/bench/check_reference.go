package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/policy/opa/standin"
)

// References of the ext_authz service by the name of their subcommand;
// standinPrefix is followed by the name of a policy.
const (
	checkBare     = "check-bare"      // decodes nothing and says OK
	checkBareKept = "check-bare-kept" // the same on goroutines that are kept, as Tallygate has them
	checkDecode   = "check-decode"    // decodes with the generated code and says OK
	standinPrefix = "check-standin-"
)

// checkReference is a server of the ext_authz service that does less, or the
// same in the straightforward way, on a gRPC server with the same options but
// for the goroutines that are kept.
type checkReference struct {
	workers uint32
	answer  func(context.Context, []byte) ([]byte, error)
	calls   atomic.Int64
}

func newCheckReference(ctx context.Context, name string) (*checkReference, error) {
	allowed, err := proto.Marshal(&authv3.CheckResponse{
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}},
	})
	if err != nil {
		return nil, err
	}
	r := &checkReference{}
	policy, isStandin := strings.CutPrefix(name, standinPrefix)
	switch {
	case name == checkBare:
		r.answer = func(context.Context, []byte) ([]byte, error) { return allowed, nil }
	case name == checkBareKept:
		r.workers = uint32(16 * runtime.GOMAXPROCS(0))
		r.answer = func(context.Context, []byte) ([]byte, error) { return allowed, nil }
	case name == checkDecode:
		r.answer = func(_ context.Context, b []byte) ([]byte, error) {
			var m authv3.CheckRequest
			return allowed, proto.Unmarshal(b, &m)
		}
	case isStandin:
		text, err := policies.ReadFile("policies/" + policy + ".rego")
		if err != nil {
			return nil, err
		}
		judge, err := standin.New(ctx, string(text), policyData())
		if err != nil {
			return nil, err
		}
		r.answer = func(ctx context.Context, b []byte) ([]byte, error) {
			var m authv3.CheckRequest
			if err := proto.Unmarshal(b, &m); err != nil {
				return nil, err
			}
			input, err := protojson.Marshal(&m)
			if err != nil {
				return nil, err
			}
			ok, err := judge.Allowed(ctx, input)
			if err == nil && !ok {
				err = errors.New("denied: the pool is of requests that are allowed")
			}
			return allowed, err
		}
	default:
		return nil, fmt.Errorf("there is no reference %q", name)
	}
	return r, nil
}

func (r *checkReference) serve(ctx context.Context, receive func(any) error) (any, error) {
	var f ingest.Frame
	defer f.Free()
	if err := receive(&f); err != nil {
		return nil, err
	}
	b, err := r.answer(ctx, f.Bytes())
	if err != nil {
		return nil, err
	}
	r.calls.Add(1)
	return ingest.NewFrame(b), nil
}

// run serves until ctx ends. It says where on out.
func (r *checkReference) run(ctx context.Context, out io.Writer) error {
	s, err := ingest.NewGRPCServer(checkListener(), ingest.GRPCOptions{
		Key: "reference", Workers: r.workers, Grace: func() time.Duration { return time.Second },
		Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: authv3.Authorization_ServiceDesc.ServiceName,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Check",
			Handler: func(_ any, ctx context.Context, receive func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				return r.serve(ctx, receive)
			},
		}},
	}, r)
	if err := s.Listen(ctx); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	metrics := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s %d\n", messagesMetric, r.calls.Load())
	})}
	go func() { _ = metrics.Serve(l) }()
	defer metrics.Close()
	fmt.Fprintf(out, "%s %s\n", s.Addr(), l.Addr())
	return s.Run(ctx)
}

// checkListener is what Tallygate's own listener has by default.
func checkListener() ingest.GRPCConfig {
	c := ingest.DefaultGRPCConfig("127.0.0.1:0")
	c.MaxConcurrentStreams = 1000
	return c
}
