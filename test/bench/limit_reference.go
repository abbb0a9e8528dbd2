package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"

	"github.com/tallygate/tallygate/test/testbed"
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

// startEnvoyRateLimit starts envoyproxy/ratelimit with one file of limits.
func startEnvoyRateLimit(ctx context.Context, bed *testbed.Bed, limits, redis string) (*server, error) {
	installed, err := bed.Cache.Installed("ratelimit")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(bed.Dir, "ratelimit", "config")
	if err := os.MkdirAll(config, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(config, "limits.yaml"), []byte(limits), 0o644); err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	s := &server{name: "envoyproxy/ratelimit", target: ports[0], cmd: exec.Command(installed.Path("ratelimit"))}
	s.cmd.Env = append(os.Environ(), "USE_STATSD=false", "RUNTIME_ROOT="+bed.Dir, "RUNTIME_SUBDIRECTORY=ratelimit", "RUNTIME_WATCH_ROOT=false",
		"REDIS_SOCKET_TYPE=tcp", "REDIS_URL="+redis)
	for i, name := range []string{"GRPC_", "", "DEBUG_"} {
		host, port, err := net.SplitHostPort(ports[i])
		if err != nil {
			return nil, err
		}
		s.cmd.Env = append(s.cmd.Env, name+"HOST="+host, name+"PORT="+port)
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err = testbed.Poll(ready, 50*time.Millisecond, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ports[1]+"/healthcheck", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("healthcheck: %s", resp.Status)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s did not start: %w: %s", s.name, errors.Join(err, s.stop()), s.stderr.String())
	}
	return s, nil
}
