package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// ClientConfig says how the command line reaches an admin endpoint.
type ClientConfig struct {
	Server    string // host:port, http(s)://host:port, or unix:///path
	Address   string // host:port to connect to instead of the one in Server: one of its replicas
	TokenFile string // empty means the default of the server's port
	CAFile    string // verifies the server; empty means the system's
	CertFile  string // client certificate, instead of a token
	KeyFile   string
}

// Client asks an admin endpoint.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// NewClient reads the token and the certificates.
func NewClient(cfg ClientConfig) (*Client, error) {
	server := cfg.Server
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	u, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	c := &Client{base: strings.TrimSuffix(u.String(), "/"), http: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
	address := u.Host
	switch u.Scheme {
	case "http", "https":
		if cfg.Address != "" {
			transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, cfg.Address)
			}
		}
		if u.Scheme == "http" {
			break
		}
		if transport.TLSClientConfig, err = cfg.tls(); err != nil {
			return nil, err
		}
	case "unix":
		address, c.base = u.Path, "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", address)
		}
	default:
		return nil, fmt.Errorf("--server: %q is none of http, https, unix", u.Scheme)
	}
	if cfg.CertFile != "" {
		return c, nil
	}
	path := cfg.TokenFile
	if path == "" {
		if path, err = TokenFile(address); err != nil {
			return nil, err
		}
	}
	b, err := os.ReadFile(path)
	if err != nil && (cfg.TokenFile != "" || !errors.Is(err, os.ErrNotExist)) {
		return nil, fmt.Errorf("reading the admin token: %w", err)
	}
	c.token = strings.TrimSpace(string(b)) // without one the server says what it wants
	return c, nil
}

func (cfg *ClientConfig) tls() (*tls.Config, error) {
	tc := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		b, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		tc.RootCAs = x509.NewCertPool()
		if !tc.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("--ca-file: no certificate in %s", cfg.CAFile)
		}
	}
	if cfg.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("--cert-file, --key-file: %w", err)
		}
		tc.Certificates = []tls.Certificate{cert}
	}
	return tc, nil
}

// Get decodes the JSON at path into v.
func (c *Client) Get(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking %s: %w; is `tallygate serve` running, and is that its admin.endpoint?", c.base, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		return fmt.Errorf("asking %s%s: %s: %s", c.base, path, resp.Status, strings.TrimSpace(string(text)))
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		return fmt.Errorf("asking %s%s: %w", c.base, path, err)
	}
	return nil
}
