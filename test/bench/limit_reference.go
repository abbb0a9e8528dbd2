package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
)

// limitBare is the reference of the rate limit service: grpc-go with generated
// code that always says OK.
const limitBare = "limit-bare"

type limitReference struct {
	rlsv3.UnimplementedRateLimitServiceServer
	calls atomic.Int64
}

// ShouldRateLimit says OK to every descriptor.
func (r *limitReference) ShouldRateLimit(_ context.Context, req *rlsv3.RateLimitRequest) (*rlsv3.RateLimitResponse, error) {
	r.calls.Add(1)
	resp := &rlsv3.RateLimitResponse{OverallCode: rlsv3.RateLimitResponse_OK}
	for range req.Descriptors {
		resp.Statuses = append(resp.Statuses, &rlsv3.RateLimitResponse_DescriptorStatus{Code: rlsv3.RateLimitResponse_OK})
	}
	return resp, nil
}

// run serves until ctx ends. It says where on out.
func (r *limitReference) run(ctx context.Context, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	m, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	metrics := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "%s %d\n", messagesMetric, r.calls.Load())
	})}
	go func() { _ = metrics.Serve(m) }()
	defer metrics.Close()
	s := grpc.NewServer()
	rlsv3.RegisterRateLimitServiceServer(s, r)
	fmt.Fprintf(out, "%s %s\n", l.Addr(), m.Addr())
	defer context.AfterFunc(ctx, s.Stop)()
	return s.Serve(l)
}
