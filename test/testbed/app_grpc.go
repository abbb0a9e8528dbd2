package testbed

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// nextKey is the metadata key that asks an application to pass the call on to
// the next service.
const nextKey = "x-next"

// grpcApp is gRPC's own test service: a call answers the status that it asks
// for. A unary error goes without a message (trailers-only); a stream sends its
// messages first, so that the error comes in trailers.
type grpcApp struct {
	testpb.UnimplementedTestServiceServer
	next testpb.TestServiceClient // nil in the last application
}

func wants(s *testpb.EchoStatus) error {
	return status.Error(codes.Code(s.GetCode()), s.GetMessage())
}

func (a *grpcApp) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if a.passOn(ctx) {
		return a.next.UnaryCall(ctx, req)
	}
	if err := wants(req.GetResponseStatus()); err != nil {
		return nil, err
	}
	return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, req.GetResponseSize())}}, nil
}

func (a *grpcApp) StreamingOutputCall(req *testpb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	for _, p := range req.GetResponseParameters() {
		msg := &testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: make([]byte, p.GetSize())}}
		if err := stream.Send(msg); err != nil {
			return err
		}
	}
	return wants(req.GetResponseStatus())
}

func (a *grpcApp) passOn(ctx context.Context) bool {
	return a.next != nil && len(metadata.ValueFromIncomingContext(ctx, nextKey)) > 0
}

// serveGRPC starts an application on a port of 127.0.0.1.
func (b *Bed) serveGRPC(next hop) (addr string, err error) {
	app := &grpcApp{}
	if next.host != "" {
		conn, err := grpc.NewClient("passthrough:///"+next.http, grpc.WithAuthority(next.host),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return "", err
		}
		b.onClose(conn.Close)
		app.next = testpb.NewTestServiceClient(conn)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := grpc.NewServer()
	testpb.RegisterTestServiceServer(srv, app)
	go srv.Serve(l)
	b.onClose(func() error { srv.Stop(); return nil })
	return l.Addr().String(), nil
}
