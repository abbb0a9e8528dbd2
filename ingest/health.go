package ingest

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// healthServer is grpc's, except that its watches can be ended: they would hold
// up a graceful stop for ever.
type healthServer struct {
	*health.Server
	watches context.Context
	end     context.CancelFunc
}

func newHealthServer() *healthServer {
	h := &healthServer{Server: health.NewServer()}
	h.watches, h.end = context.WithCancel(context.Background())
	return h
}

func (h *healthServer) endWatches() { h.end() }

// Watch implements grpc.health.v1.Health.
func (h *healthServer) Watch(req *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(h.watches, cancel)()
	return h.Server.Watch(req, &watchStream{ServerStreamingServer: stream, ctx: ctx})
}

type watchStream struct {
	grpc.ServerStreamingServer[healthpb.HealthCheckResponse]
	ctx context.Context
}

func (s *watchStream) Context() context.Context { return s.ctx }
