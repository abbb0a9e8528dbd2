package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Driver is the client of the mesh: it sends every request through the client's
// sidecar. Its methods may be called at the same time.
type Driver struct {
	mesh *Mesh
	http *http.Client
	conn map[string]*grpc.ClientConn // by host
}

// Driver returns a driver of the mesh.
func (m *Mesh) Driver() (*Driver, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	d := &Driver{mesh: m, conn: map[string]*grpc.ClientConn{}, http: &http.Client{
		Transport:     transport,
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	m.bed.onClose(func() error { transport.CloseIdleConnections(); return nil })
	for _, r := range m.Client.routes {
		conn, err := grpc.NewClient("passthrough:///"+m.Client.HTTPOut, grpc.WithAuthority(r.host),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		m.bed.onClose(conn.Close)
		d.conn[r.host] = conn
	}
	return d, nil
}

// Get asks host for path and returns the code of the answer, 0 if ctx ended
// first.
func (d *Driver) Get(ctx context.Context, host, path string) (code int, err error) {
	return d.Do(ctx, http.MethodGet, host, path, nil, "")
}

// GetPlain asks the frontend in plain text, past the client's sidecar, as a
// caller does that has none.
func (d *Driver) GetPlain(ctx context.Context, path string) (code int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.mesh.Frontend.HTTPIn+path, nil)
	if err != nil {
		return 0, err
	}
	return d.send(req, HostFrontend)
}

// Do sends a request with an optional header x-tenant.
func (d *Driver) Do(ctx context.Context, method, host, path string, body io.Reader, tenant string) (code int, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+d.mesh.Client.HTTPOut+path, body)
	if err != nil {
		return 0, err
	}
	if tenant != "" {
		req.Header.Set("x-tenant", tenant)
	}
	return d.send(req, host)
}

func (d *Driver) send(req *http.Request, host string) (code int, err error) {
	req.Host = host
	resp, err := d.http.Do(req)
	if req.Context().Err() != nil {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%s %s%s: %w", req.Method, host, req.URL.Path, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, fmt.Errorf("%s %s%s: reading: %w", req.Method, host, req.URL.Path, err)
	}
	return resp.StatusCode, nil
}

// Unary makes a unary call that answers the given gRPC status; an error comes
// without a message. With next the service passes the call on to its next one.
func (d *Driver) Unary(ctx context.Context, host string, want int32, next bool) error {
	if next {
		ctx = metadata.AppendToOutgoingContext(ctx, nextKey, "1")
	}
	_, err := testpb.NewTestServiceClient(d.conn[host]).UnaryCall(ctx, &testpb.SimpleRequest{
		ResponseSize: 100, ResponseStatus: echo(want),
	})
	return wantStatus(err, want)
}

// Stream makes a server-streaming call that answers n messages and then the
// given gRPC status, in trailers.
func (d *Driver) Stream(ctx context.Context, host string, n int, want int32) error {
	params := make([]*testpb.ResponseParameters, n)
	for i := range params {
		params[i] = &testpb.ResponseParameters{Size: 10}
	}
	stream, err := testpb.NewTestServiceClient(d.conn[host]).StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{
		ResponseParameters: params, ResponseStatus: echo(want),
	})
	got := 0
	for err == nil {
		if _, err = stream.Recv(); err == nil {
			got++
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if got != n {
		return fmt.Errorf("stream: %d messages; want %d (%w)", got, n, err)
	}
	return wantStatus(err, want)
}

func echo(code int32) *testpb.EchoStatus {
	if code == 0 {
		return nil
	}
	return &testpb.EchoStatus{Code: code, Message: "asked for"}
}

func wantStatus(err error, want int32) error {
	if got := int32(status.Code(err)); got != want {
		return fmt.Errorf("gRPC status %d; want %d (%w)", got, want, err)
	}
	return nil
}

// Echo opens a TCP connection through both hops, sends n bytes, reads them back
// and closes it.
func (d *Driver) Echo(ctx context.Context, n int) error {
	return d.echo(ctx, d.mesh.Client.TCPOut, n)
}

// EchoPlain is Echo by a caller that has no sidecar, in plain text.
func (d *Driver) EchoPlain(ctx context.Context, n int) error {
	return d.echo(ctx, d.mesh.Frontend.TCPIn, n)
}

func (d *Driver) echo(ctx context.Context, addr string, n int) error {
	conn, err := dialTCP(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := Exchange(conn, n); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	return err
}

// DialTCP opens a TCP connection through both hops to the echo service.
func (d *Driver) DialTCP(ctx context.Context) (*net.TCPConn, error) {
	return dialTCP(ctx, d.mesh.Client.TCPOut)
}

func dialTCP(ctx context.Context, addr string) (*net.TCPConn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), conn.SetDeadline(time.Now().Add(time.Minute))
}

// Exchange sends n bytes to the echo service and reads them back.
func Exchange(conn net.Conn, n int) error {
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, io.LimitReader(zeros{}, int64(n)))
		sent <- err
	}()
	if _, err := io.CopyN(io.Discard, conn, int64(n)); err != nil {
		return fmt.Errorf("reading the echo of %d bytes: %w", n, err)
	}
	return <-sent
}

// body is a request body of n bytes.
func body(n int) io.Reader { return strings.NewReader(strings.Repeat("x", n)) }
