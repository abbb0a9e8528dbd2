package admin

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/tallygate/tallygate/ingest"
)

// Config is the admin section of the configuration.
type Config struct {
	ingest.HTTPConfig `mapstructure:",squash"`
	// AllowedHosts are names, without port, that requests may be addressed to besides loopback and the address that they came in on; "*" allows any.
	AllowedHosts []string `mapstructure:"allowed_hosts"`
	// TokenFile is where the bearer token is written at the start, mode 0600. Empty means admin-<port>.token in $XDG_RUNTIME_DIR/tallygate, else in tallygate below the user's cache directory.
	TokenFile string `mapstructure:"token_file"`
	// Token is the bearer token itself; empty means that a new one is made at every start and written to token_file.
	Token configopaque.String `mapstructure:"token"`
	// Peers are the admin endpoints of the other replicas, host:port or https://host:port, so that the console shows them all; a DNS name stands for every replica that it resolves to, this one too. They are asked with token, which all must share, or with peer_tls.
	Peers []string `mapstructure:"peers"`
	// PeerTLS is how peers are asked over https.
	PeerTLS PeerTLS `mapstructure:"peer_tls"`
	// TraceURL is where people look at a trace, with {trace_id} in it: https://jaeger.example/trace/{trace_id}. The console and the API link to it.
	TraceURL string `mapstructure:"trace_url"`
}

// PeerTLS is the admin.peer_tls section.
type PeerTLS struct {
	// CAFile verifies the peers. Empty means the system's authorities.
	CAFile string `mapstructure:"ca_file"`
	// CertFile is the client certificate that peers trust instead of a token.
	CertFile string `mapstructure:"cert_file"`
	// KeyFile is the key of cert_file.
	KeyFile string `mapstructure:"key_file"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	c := Config{HTTPConfig: ingest.DefaultHTTPConfig("127.0.0.1:8282")}
	c.WriteTimeout = 10 * time.Minute // a profile takes as long as was asked for
	return c
}

// Validate returns every problem, each with its key path relative to the
// section.
func (c *Config) Validate() error {
	errs := []error{c.HTTPConfig.Validate()}
	for i, h := range c.AllowedHosts {
		if h == "" || strings.Contains(h, "/") || (net.ParseIP(h) == nil && strings.Contains(h, ":")) {
			errs = append(errs, fmt.Errorf("allowed_hosts[%d]: %q is not a host name without port", i, h))
		}
	}
	if c.Token != "" && len(c.Token) < 16 {
		errs = append(errs, errors.New("token: has fewer than 16 characters"))
	}
	if c.Token != "" && c.TokenFile != "" {
		errs = append(errs, errors.New("token_file: a token that is given is not written; leave one of token and token_file out"))
	}
	if len(c.Peers) > 0 && c.Token == "" && c.PeerTLS.CertFile == "" {
		errs = append(errs, errors.New("peers: are asked with a token that all replicas share: set token, or peer_tls.cert_file"))
	}
	for i, p := range c.Peers {
		if _, err := parseServer(p); err != nil {
			errs = append(errs, fmt.Errorf("peers[%d]: %w", i, err))
		}
	}
	if u, err := url.Parse(strings.ReplaceAll(c.TraceURL, "{trace_id}", "0")); c.TraceURL != "" &&
		(err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || !strings.Contains(c.TraceURL, "{trace_id}")) {
		errs = append(errs, fmt.Errorf("trace_url: %q is not an http or https URL with {trace_id} in it", c.TraceURL))
	}
	if (c.PeerTLS.CertFile == "") != (c.PeerTLS.KeyFile == "") {
		errs = append(errs, errors.New("peer_tls: cert_file and key_file go together"))
	}
	return errors.Join(errs...)
}
