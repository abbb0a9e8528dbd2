package ingest

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"
)

func startHTTP(t *testing.T, cfg HTTPConfig, h http.Handler, change func(*HTTPOptions)) *HTTPServer {
	t.Helper()
	opts := HTTPOptions{
		Key:     "prometheus",
		Grace:   func() time.Duration { return testWait },
		Metrics: prometheus.NewRegistry(),
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&opts)
	}
	s, err := NewHTTPServer(cfg, h, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string, error) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b), nil
}

func client(t *testing.T, c *tls.Config) *http.Client {
	tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: testWait}
}

func TestHTTP(t *testing.T) {
	cfg := DefaultHTTPConfig("127.0.0.1:0")
	cfg.ResponseHeaders = configopaque.MapList{{Name: "Cache-Control", Value: "no-store"}}
	s := startHTTP(t, cfg, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }), nil)
	resp, body, err := get(t, client(t, nil), "http://"+s.Addr().String())
	if err != nil || body != "hello" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %q, %v, %v", body, resp, err)
	}
}

func TestHTTPClientCertificate(t *testing.T) {
	dir := t.TempDir()
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	tc := configtls.NewDefaultServerConfig()
	tc.CertFile, tc.KeyFile = ca.issue(dir, "server")
	tc.ClientCAFile = filepath.Join(dir, "ca.crt")
	write(t, tc.ClientCAFile, ca.pem)
	cfg := DefaultHTTPConfig("127.0.0.1:0")
	cfg.TLS = configoptional.Some(tc)
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.VerifiedChains) > 0 {
			io.WriteString(w, r.TLS.VerifiedChains[0][0].Subject.CommonName)
		}
	})
	strict := startHTTP(t, cfg, who, nil)
	lax := startHTTP(t, cfg, who, func(o *HTTPOptions) { o.ClientCertOptional = true })

	f := func(s *HTTPServer, c *tls.Config, want string, ok bool) {
		t.Helper()
		resp, body, err := get(t, client(t, c), "https://"+s.Addr().String())
		if (err == nil) != ok || body != want {
			t.Errorf("got %q, %v; want %q, ok = %v", body, err, want, ok)
		}
		if err == nil && resp.ProtoMajor != 2 {
			t.Errorf("protocol is %s; want HTTP/2", resp.Proto)
		}
	}
	f(strict, ca.clientTLS(ca), "client", true)
	f(strict, ca.clientTLS(nil), "", false)
	f(strict, ca.clientTLS(other), "", false)
	f(lax, ca.clientTLS(ca), "client", true)
	f(lax, ca.clientTLS(nil), "", true)
	f(lax, ca.clientTLS(other), "", true) // Go's client shows no certificate of an authority that was not asked for
	until(t, func() bool { return testutil.ToFloat64(strict.m.handshakeFailures) >= 2 })
}
