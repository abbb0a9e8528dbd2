package ingest

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testWait = 10 * time.Second

func grpcOptions(t *testing.T) GRPCOptions {
	return GRPCOptions{
		Key:     "ingest.als",
		Grace:   func() time.Duration { return testWait },
		Metrics: prometheus.NewRegistry(),
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// startGRPC runs a server until the test ends or stop is called.
func startGRPC(t *testing.T, s *GRPCServer) (stop func() error) {
	t.Helper()
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if !stopped {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
	})
	return stop
}

func dial(t *testing.T, target string, creds credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func checkHealth(t *testing.T, conn *grpc.ClientConn) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testWait)
	defer cancel()
	resp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err == nil && resp.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health is %s", resp.Status)
	}
	return err
}

func TestHealthAndUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "als.sock")
	// What a killed process leaves behind does not stop the next one.
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()

	cfg := DefaultGRPCConfig(path)
	cfg.Transport = "unix"
	s, err := NewGRPCServer(cfg, grpcOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	stop := startGRPC(t, s)
	if err := checkHealth(t, dial(t, "unix://"+path, insecure.NewCredentials())); err != nil {
		t.Error(err)
	}
	if got := testutil.ToFloat64(s.m.connections); got != 1 {
		t.Errorf("open connections = %v; want 1", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestDrainEndsWatches(t *testing.T) {
	drained := make(chan struct{})
	opts := grpcOptions(t)
	opts.Drain = func(context.Context) error { close(drained); return nil }
	s, err := NewGRPCServer(DefaultGRPCConfig("127.0.0.1:0"), opts)
	if err != nil {
		t.Fatal(err)
	}
	stop := startGRPC(t, s)
	conn := dial(t, s.Addr().String(), insecure.NewCredentials())
	watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := watch.Recv(); err != nil || resp.Status != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("first status %v, %v", resp, err)
	}
	began := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > testWait/2 {
		t.Errorf("the drain took %s: it waited for the watch", took)
	}
	<-drained
	if resp, err := watch.Recv(); err != nil || resp.Status != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("status at the drain %v, %v; want NOT_SERVING", resp, err)
	}
}

func TestDrainCutsOff(t *testing.T) {
	opts := grpcOptions(t)
	opts.Grace = func() time.Duration { return 200 * time.Millisecond }
	s, err := NewGRPCServer(DefaultGRPCConfig("127.0.0.1:0"), opts)
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Stuck",
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "Hang", ClientStreams: true, Handler: func(_ any, ss grpc.ServerStream) error {
			close(entered)
			<-ss.Context().Done()
			return ss.Context().Err()
		}}},
	}, nil)
	stop := startGRPC(t, s)
	conn := dial(t, s.Addr().String(), insecure.NewCredentials())
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, "/test.Stuck/Hang")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(&healthpb.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := stop(); err == nil || !strings.Contains(err.Error(), "cut off after 200ms") {
		t.Errorf("Run = %v; want that streams were cut off", err)
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	s, err := NewGRPCServer(DefaultGRPCConfig(addr), grpcOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	want := "ingest.als.endpoint: listen tcp " + addr + ": address already in use; another process listens there: stop it, or choose another address with --set ingest.als.endpoint=…"
	if err := s.Listen(t.Context()); err == nil || err.Error() != want {
		t.Errorf("Listen = %v\nwant %s", err, want)
	}
}

func TestNotASocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, []byte("precious"))
	cfg := DefaultGRPCConfig(path)
	cfg.Transport = "unix"
	s, err := NewGRPCServer(cfg, grpcOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("Listen = %v; want a refusal", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("the file was overwritten")
	}
}

func TestMutualTLSAndRotation(t *testing.T) {
	dir := t.TempDir()
	old, next := newAuthority(t, "old"), newAuthority(t, "next")
	caFile := filepath.Join(dir, "ca.crt")
	write(t, caFile, old.pem)
	certFile, keyFile := old.issue(dir, "server")

	tc := configtls.NewDefaultServerConfig()
	tc.CertFile, tc.KeyFile, tc.ClientCAFile = certFile, keyFile, caFile
	tc.ReloadInterval = 10 * time.Millisecond
	cfg := DefaultGRPCConfig("127.0.0.1:0")
	cfg.TLS = configoptional.Some(tc)
	s, err := NewGRPCServer(cfg, grpcOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	startGRPC(t, s)
	try := func(c *tls.Config) error {
		return checkHealth(t, dial(t, s.Addr().String(), credentials.NewTLS(c)))
	}
	f := func(what string, c *tls.Config, ok bool) {
		t.Helper()
		if err := try(c); (err == nil) != ok {
			t.Errorf("%s: %v; want ok = %v", what, err, ok)
		} else if !ok && status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v; want it refused in the handshake", what, err)
		}
	}
	f("good client", old.clientTLS(old), true)
	f("client without certificate", old.clientTLS(nil), false)
	f("client of another authority", old.clientTLS(next), false)
	// The client knows before the server has counted.
	until(t, func() bool { return testutil.ToFloat64(s.m.handshakeFailures) >= 2 })
	if got := testutil.ToFloat64(s.m.certificateExpiry); got < float64(time.Now().Unix()) {
		t.Errorf("certificate expiry = %v", got)
	}

	// A key that does not fit leaves the old pair in place.
	good, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	write(t, keyFile, []byte("garbage"))
	until(t, func() bool { return testutil.ToFloat64(s.m.reloads.WithLabelValues("failure")) > 0 })
	f("good client while the key is broken", old.clientTLS(old), true)
	write(t, keyFile, good)

	// Everything changes on disk: the next connection sees it.
	write(t, caFile, next.pem)
	next.issue(dir, "server")
	until(t, func() bool { return try(next.clientTLS(next)) == nil })
	f("client of the old authority", next.clientTLS(old), false)
	if testutil.ToFloat64(s.m.reloads.WithLabelValues("success")) == 0 {
		t.Error("no reload was counted")
	}
}

func TestPrepareTLS(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	tc := configtls.NewDefaultServerConfig()
	tc.CertFile, tc.KeyFile = ca.issue(dir, "server")
	cfg := DefaultGRPCConfig("127.0.0.1:0")
	cfg.TLS = configoptional.Some(tc)
	s, err := NewGRPCServer(cfg, grpcOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	startGRPC(t, s)

	if _, err := s.PrepareTLS(configoptional.None[configtls.ServerConfig]()); err == nil {
		t.Error("TLS was switched off while running")
	}
	missing := tc
	missing.CertFile = filepath.Join(dir, "missing")
	if _, err := s.PrepareTLS(configoptional.Some(missing)); err == nil || !strings.HasPrefix(err.Error(), "ingest.als.tls: ") {
		t.Errorf("PrepareTLS = %v; want an error with the key path", err)
	}
	other := newAuthority(t, "other")
	tc.CertFile, tc.KeyFile = other.issue(t.TempDir(), "server")
	apply, err := s.PrepareTLS(configoptional.Some(tc))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkHealth(t, dial(t, s.Addr().String(), credentials.NewTLS(ca.clientTLS(nil)))); err != nil {
		t.Errorf("before apply: %v", err)
	}
	apply()
	if err := checkHealth(t, dial(t, s.Addr().String(), credentials.NewTLS(other.clientTLS(nil)))); err != nil {
		t.Errorf("after apply: %v", err)
	}
}

func TestMessageTooLarge(t *testing.T) {
	cfg := DefaultGRPCConfig("127.0.0.1:0")
	cfg.MaxRecvMsgSizeMiB = 1
	s, err := NewGRPCServer(cfg, grpcOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	startGRPC(t, s)
	conn := dial(t, s.Addr().String(), insecure.NewCredentials())
	_, err = healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: strings.Repeat("x", 2<<20)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("Check with 2 MiB = %v; want ResourceExhausted", err)
	}
}

// until waits for what other goroutines and the disk bring about.
func until(t *testing.T, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testWait); !cond(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in time")
		}
		time.Sleep(5 * time.Millisecond)
	}
}
