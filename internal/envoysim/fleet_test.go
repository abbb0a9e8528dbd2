package envoysim

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server counts by the generated code and refuses after limit entries.
type server struct {
	alsv3.UnimplementedAccessLogServiceServer
	limit                        int64
	identifiers, entries, closed atomic.Int64
}

func (s *server) StreamAccessLogs(stream alsv3.AccessLogService_StreamAccessLogsServer) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			s.closed.Add(1)
			return stream.SendAndClose(&alsv3.StreamAccessLogsResponse{})
		}
		if err != nil {
			return err
		}
		if m.Identifier != nil {
			s.identifiers.Add(1)
		}
		n := len(m.GetHttpLogs().GetLogEntry()) + len(m.GetTcpLogs().GetLogEntry())
		if s.limit > 0 && s.entries.Load() > s.limit {
			return status.Error(codes.ResourceExhausted, "enough")
		}
		s.entries.Add(int64(n))
	}
}

func start(t *testing.T, s *server) (target string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	alsv3.RegisterAccessLogServiceServer(g, s)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	return l.Addr().String()
}

func TestFleet(t *testing.T) {
	p := DefaultProfile()
	p.GRPC, p.TCP, p.MinMessages = 20, 20, 5
	traffic, err := NewTraffic(p)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{}
	f, err := Dial(t.Context(), start(t, s), traffic)
	if err != nil {
		t.Fatal(err)
	}
	a, err := f.Send(t.Context(), 10_000, 0)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	b, err := f.Send(t.Context(), 4_000, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d < 150*time.Millisecond {
		t.Errorf("4,000 entries at 20,000/s took %v", d)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if a.Entries < 10_000 || a.Entries >= 10_000+8*50 {
		t.Errorf("sent %d entries; want 10,000 and at most a message more per stream", a.Entries)
	}
	if got := s.entries.Load(); got != a.Entries+b.Entries {
		t.Errorf("received %d entries of %d", got, a.Entries+b.Entries)
	}
	if s.identifiers.Load() != 8 || s.closed.Load() != 8 {
		t.Errorf("%d identifiers, %d ended streams; want 8", s.identifiers.Load(), s.closed.Load())
	}
}

func TestFleetBrokenStream(t *testing.T) {
	traffic, err := NewTraffic(DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	f, err := Dial(t.Context(), start(t, &server{limit: 1000}), traffic)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = f.Send(t.Context(), 1_000_000, 0); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("Send = %v; want the server's status", err)
	}
	_ = f.Close()
}
