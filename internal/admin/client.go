package admin

import (
	"bufio"
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
	"slices"
	"strings"
	"time"
)

// ClientConfig says how the command line reaches an admin endpoint.
type ClientConfig struct {
	Server    string // host:port, http(s)://host:port, or unix:///path
	Address   string // host:port to connect to instead of the one in Server: one of its replicas
	Token     string // the token itself
	TokenFile string // without one: where it is; empty means the default of the server's port
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
	u, err := parseServer(cfg.Server)
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
	}
	if c.token = cfg.Token; c.token != "" || cfg.CertFile != "" {
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

// parseServer reads host:port, http(s)://host:port or unix:///path.
func parseServer(server string) (*url.URL, error) {
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "http", "https":
		if u.Host == "" {
			return nil, fmt.Errorf("%q has no host", server)
		}
	case "unix":
	default:
		return nil, fmt.Errorf("%q is none of http, https, unix", u.Scheme)
	}
	return u, nil
}

// Replicas returns an address for each that the DNS name in server resolves to;
// one empty address if there is nothing to resolve.
func Replicas(ctx context.Context, server string) []string {
	one := []string{""}
	u, err := parseServer(server)
	if err != nil || u.Scheme == "unix" || u.Port() == "" || u.Hostname() == "localhost" || net.ParseIP(u.Hostname()) != nil {
		return one
	}
	ips, err := net.DefaultResolver.LookupHost(ctx, u.Hostname())
	if err != nil {
		return one // asking it says what is wrong
	}
	slices.Sort(ips)
	for i, ip := range ips {
		ips[i] = net.JoinHostPort(ip, u.Port())
	}
	return ips
}

// Get decodes the JSON at path into v.
func (c *Client) Get(ctx context.Context, path string, v any) error {
	return c.ask(ctx, c.http, http.MethodGet, path, func(r io.Reader) error { return json.NewDecoder(r).Decode(v) })
}

// Post does what path stands for, and decodes the answer into v.
func (c *Client) Post(ctx context.Context, path string, v any) error {
	return c.ask(ctx, c.http, http.MethodPost, path, func(r io.Reader) error { return json.NewDecoder(r).Decode(v) })
}

// Lines calls fn with each line of the answer at path, until it ends, ctx does,
// or fn returns an error.
func (c *Client) Lines(ctx context.Context, path string, fn func([]byte) error) error {
	endless := &http.Client{Transport: c.http.Transport}
	return c.ask(ctx, endless, http.MethodGet, path, func(r io.Reader) error {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 64<<10), 4<<20)
		for lines.Scan() {
			if err := fn(lines.Bytes()); err != nil {
				return err
			}
		}
		return lines.Err()
	})
}

// Base is the URL of the endpoint.
func (c *Client) Base() string { return c.base }

func (c *Client) ask(ctx context.Context, client *http.Client, method, path string, read func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking %s: %w; is `tallygate serve` running, and is that its admin.endpoint?", c.base, err)
	}
	defer resp.Body.Close()
	path, _, _ = strings.Cut(path, "?")
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		var said struct{ Error string }
		if json.Unmarshal(text, &said) == nil && said.Error != "" {
			return &StatusError{resp.StatusCode, fmt.Errorf("asking %s%s: %s", c.base, path, said.Error)}
		}
		return &StatusError{resp.StatusCode, fmt.Errorf("asking %s%s: %s: %s", c.base, path, resp.Status, strings.TrimSpace(string(text)))}
	}
	if err := read(resp.Body); err != nil && ctx.Err() == nil {
		return fmt.Errorf("asking %s%s: %w", c.base, path, err)
	}
	return ctx.Err()
}

// StatusError is an answer that is not 200.
type StatusError struct {
	Code int
	error
}

func (e *StatusError) Unwrap() error { return e.error }
