package als

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// authority is a certificate authority of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test root"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.key = a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

// issue returns a certificate for a SPIFFE ID.
func (a *authority) issue(spiffe string) tls.Certificate {
	a.t.Helper()
	id, err := url.Parse(spiffe)
	if err != nil {
		a.t.Fatal(err)
	}
	key := a.newKey()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), URIs: []*url.URL{id}, IPAddresses: []net.IP{{127, 0, 0, 1}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveTLS serves s with mutual TLS; the returned function dials it with a
// client certificate.
func serveTLS(t *testing.T, s *Server, ca *authority) func(spiffe string) alsv3.AccessLogServiceClient {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(ingest.Codec()), grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{ca.issue("spiffe://td/ns/telemetry/sa/tallygate")},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.pool,
	})))
	s.Register(server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := s.Drain(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("drain: %v", err)
		}
	})
	return func(spiffe string) alsv3.AccessLogServiceClient {
		conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			Certificates: []tls.Certificate{ca.issue(spiffe)}, RootCAs: ca.pool,
		})))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return alsv3.NewAccessLogServiceClient(conn)
	}
}

// report sends one entry under a node identifier and returns how the stream
// ended.
func report(t *testing.T, client alsv3.AccessLogServiceClient, n *corev3.Node) error {
	t.Helper()
	stream, err := client.StreamAccessLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := sampleMessage(0, 1)
	c := m.GetHttpLogs().GetLogEntry()[0].GetCommonProperties()
	c.TlsProperties, c.CustomTags = nil, map[string]string{"reporter": "destination"}
	m.Identifier = &alsv3.StreamAccessLogsMessage_Identifier{Node: n}
	if err := stream.Send(m); err != nil {
		t.Fatal(err)
	}
	_, err = stream.CloseAndRecv()
	return err
}

// TestForgedNode lets a workload with a certificate of its own claim to be
// another one, over real connections.
func TestForgedNode(t *testing.T) {
	ca := newAuthority(t)
	f := func(identity, spiffe string, want mesh.Workload, wantCode codes.Code, mismatches float64) {
		t.Helper()
		sink := new(memorySink)
		s, reg := newTestServer(t, sink, func(c *Config) { c.Identity = identity })
		err := report(t, serveTLS(t, s, ca)(spiffe), sampleNode(t))
		if got := status.Code(err); got != wantCode {
			t.Errorf("%s, %s: the stream ended with %v; want %v", identity, spiffe, err, wantCode)
		}
		if n := ingesttest.Metric(t, reg, "tallygate_als_identity_mismatches_total"); n != mismatches {
			t.Errorf("%s, %s: %v mismatches; want %v", identity, spiffe, n, mismatches)
		}
		entries := sink.all()
		checkBooks(t, reg, len(entries))
		if wantCode != codes.OK {
			if n := ingesttest.Metric(t, reg, "tallygate_als_identity_refused_total"); n != 1 || len(entries) != 0 {
				t.Errorf("%s, %s: %v streams refused, %d entries counted", identity, spiffe, n, len(entries))
			}
			if n := ingesttest.Metric(t, reg, "tallygate_als_frames_refused_total", "identity"); n != 1 {
				t.Errorf("%s, %s: %v frames refused; want 1", identity, spiffe, n)
			}
			return
		}
		if len(entries) != 1 {
			t.Fatalf("%s, %s: %d entries; want 1", identity, spiffe, len(entries))
		}
		if got := entries[0].Destination.Value(); got != want {
			t.Errorf("%s, %s:\n got %+v\nwant %+v", identity, spiffe, got, want)
		}
	}
	const honest, liar = "spiffe://cluster.local/ns/default/sa/bookinfo-reviews", "spiffe://cluster.local/ns/evil/sa/x"
	reviews := w("reviews-v1", "default", "reviews", "v1", "", "reviews", "v1", "Kubernetes")
	f(IdentityPermissive, honest, reviews, codes.OK, 0)
	f(IdentityStrict, honest, reviews, codes.OK, 0)
	f(IdentityPermissive, liar, w("", "evil", "", "", liar), codes.OK, 1)
	f(IdentityStrict, liar, mesh.Workload{}, codes.PermissionDenied, 1)
	f(IdentityStrict, "spiffe://cluster.local/ns/default/sa/other", mesh.Workload{}, codes.PermissionDenied, 1)
	f(IdentityStrict, "spiffe://cluster.local/elsewhere", reviews, codes.OK, 0)
	f(IdentityStrict, "https://cluster.local/ns/default/sa/bookinfo-reviews", mesh.Workload{}, codes.PermissionDenied, 0)
}
