package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sort"
	"sync/atomic"
	"time"

	alsdata "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/red"
)

// reference is a server of the access-log service that does less than
// Tallygate, on the same gRPC server with the same options.
type reference struct {
	message  func([]byte) error
	messages atomic.Int64
	entries  atomic.Int64
	buckets  [32]atomic.Int64
}

// References by the name of their subcommand.
const (
	discard   = "discard"   // receives the bytes and throws them away
	walk      = "walk"      // walks the wire format of every entry
	generated = "generated" // decodes every message with the generated code
)

func newReference(name string) (*reference, error) {
	r := &reference{}
	switch name {
	case discard:
		r.message = func([]byte) error { return nil }
	case walk:
		r.message = r.walk
	case generated:
		r.message = r.generated
	default:
		return nil, fmt.Errorf("reference %q is not one of %s, %s, %s", name, discard, walk, generated)
	}
	return r, nil
}

// count is what walk and generated do with an entry: one counter, one histogram.
func (r *reference) count(durationMillis float64) {
	r.entries.Add(1)
	r.buckets[sort.SearchFloat64s(red.DefaultBuckets, durationMillis)].Add(1)
}

func (r *reference) generated(b []byte) error {
	var m alsv3.StreamAccessLogsMessage
	if err := proto.Unmarshal(b, &m); err != nil {
		return fmt.Errorf("decoding a message: %w", err)
	}
	count := func(c *alsdata.AccessLogCommon) { r.count(float64(c.GetDuration().AsDuration()) / 1e6) }
	for _, e := range m.GetHttpLogs().GetLogEntry() {
		count(e.GetCommonProperties())
	}
	for _, e := range m.GetTcpLogs().GetLogEntry() {
		count(e.GetCommonProperties())
	}
	return nil
}

func (r *reference) serve(ss grpc.ServerStream) error {
	var f ingest.Frame
	defer f.Free()
	for {
		err := ss.RecvMsg(&f)
		if errors.Is(err, io.EOF) {
			return ss.SendMsg(ingest.NewFrame(nil))
		}
		if err != nil {
			return err
		}
		if err := r.message(f.Bytes()); err != nil {
			return err
		}
		f.Free()
		r.messages.Add(1)
	}
}

// run serves until ctx ends. It says where on out.
func (r *reference) run(ctx context.Context, out io.Writer) error {
	s, err := ingest.NewGRPCServer(ingest.DefaultGRPCConfig("127.0.0.1:0"), ingest.GRPCOptions{
		Key: "reference", Grace: func() time.Duration { return time.Second },
		Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: alsv3.AccessLogService_ServiceDesc.ServiceName,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: "StreamAccessLogs", ClientStreams: true,
			Handler: func(_ any, ss grpc.ServerStream) error { return r.serve(ss) },
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
		fmt.Fprintf(w, "%s %d\nbench_entries_total %d\n", messagesMetric, r.messages.Load(), r.entries.Load())
	})}
	go func() { _ = metrics.Serve(l) }()
	defer metrics.Close()
	fmt.Fprintf(out, "%s %s\n", s.Addr(), l.Addr())
	return s.Run(ctx)
}
