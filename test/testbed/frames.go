package testbed

import (
	"fmt"
	"io"
	"net"
	"sync"

	data "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	als "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// Recorder is an access-log service that keeps every message as it came.
type Recorder struct {
	Addr string

	mu     sync.Mutex
	frames []Frame
}

// Frame is one StreamAccessLogsMessage on the wire.
type Frame struct {
	Stream int // streams count from 0 in the order of their opening
	Bytes  []byte
}

// StartRecorder serves on a port of ip.
func (b *Bed) StartRecorder(ip string) (*Recorder, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return nil, err
	}
	r := &Recorder{Addr: l.Addr().String()}
	srv := grpc.NewServer(grpc.ForceServerCodecV2(frameCodec{}))
	srv.RegisterService(&grpc.ServiceDesc{
		ServiceName: als.AccessLogService_ServiceDesc.ServiceName,
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: "StreamAccessLogs", Handler: r.stream(), ClientStreams: true}},
	}, r)
	go srv.Serve(l)
	b.onClose(func() error { srv.Stop(); return nil })
	return r, nil
}

func (r *Recorder) stream() grpc.StreamHandler {
	streams := 0
	return func(_ any, s grpc.ServerStream) error {
		r.mu.Lock()
		id := streams
		streams++
		r.mu.Unlock()
		for {
			var raw []byte
			if err := s.RecvMsg(&raw); err != nil {
				if err == io.EOF {
					return s.SendMsg(new([]byte))
				}
				return err
			}
			r.mu.Lock()
			r.frames = append(r.frames, Frame{Stream: id, Bytes: raw})
			r.mu.Unlock()
		}
	}
}

// Frames returns what came so far.
func (r *Recorder) Frames() []Frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Frame(nil), r.frames...)
}

// Decode reads the frame by the generated code.
func (f Frame) Decode() (*als.StreamAccessLogsMessage, error) {
	m := new(als.StreamAccessLogsMessage)
	return m, proto.Unmarshal(f.Bytes, m)
}

// frameCodec hands the bytes of a message over.
type frameCodec struct{}

var _ encoding.CodecV2 = frameCodec{}

func (frameCodec) Name() string { return "proto" }

func (frameCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("cannot send %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*b)}, nil
}

func (frameCodec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("cannot receive into %T", v)
	}
	*b = data.Materialize()
	return nil
}

// CountFinal returns how many finished requests and connections the frames
// hold.
func CountFinal(frames []Frame) (n int, err error) {
	for _, f := range frames {
		m, err := f.Decode()
		if err != nil {
			return n, err
		}
		n += len(m.GetHttpLogs().GetLogEntry())
		for _, e := range m.GetTcpLogs().GetLogEntry() {
			if e.GetCommonProperties().GetAccessLogType() == data.AccessLogType_TcpConnectionEnd {
				n++
			}
		}
	}
	return n, nil
}
