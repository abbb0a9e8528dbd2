package testbed

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"

	als "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

// ALSClient speaks to an access-log service as a proxy does, but sends whatever
// bytes it is told to.
type ALSClient struct{ conn *grpc.ClientConn }

// DialALS connects to an access-log service from an address of the bed's own
// where no workload is, in plain text without a TLS configuration.
func (b *Bed) DialALS(addr string, tlsConfig *tls.Config) (*ALSClient, error) {
	creds := insecure.NewCredentials()
	if tlsConfig != nil {
		creds = credentials.NewTLS(tlsConfig)
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(frameCodec{})),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(b.IP(66))}}
			return d.DialContext(ctx, "tcp", addr)
		}))
	if err != nil {
		return nil, err
	}
	b.onClose(conn.Close)
	return &ALSClient{conn}, nil
}

// ALSStream is one stream of messages.
type ALSStream struct{ stream grpc.ClientStream }

// Stream opens a stream.
func (c *ALSClient) Stream(ctx context.Context) (*ALSStream, error) {
	desc := &grpc.StreamDesc{StreamName: "StreamAccessLogs", ClientStreams: true}
	s, err := c.conn.NewStream(ctx, desc, als.AccessLogService_StreamAccessLogs_FullMethodName)
	return &ALSStream{s}, err
}

// Send sends the bytes of one message. An error means that the server has ended
// the stream; Close says why.
func (s *ALSStream) Send(frame []byte) error { return s.stream.SendMsg(&frame) }

// SendMessage sends a message that is what it should be.
func (s *ALSStream) SendMessage(m *als.StreamAccessLogsMessage) error {
	frame, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	return s.Send(frame)
}

// Close ends the stream and returns the server's status as an error.
func (s *ALSStream) Close() error {
	if err := s.stream.CloseSend(); err != nil {
		return err
	}
	var answer []byte
	err := s.stream.RecvMsg(&answer)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
