package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/config/configopaque"
)

// HTTPConfig configures an HTTP listener, in the keys of
// confighttp.ServerConfig.
type HTTPConfig struct {
	AddrConfig `mapstructure:",squash"`
	// TLS encrypts the listener. Absent means plain text.
	TLS TLSConfig `mapstructure:"tls"`
	// ReadTimeout is the longest time to read a request with its body. 0 means no limit.
	ReadTimeout time.Duration `mapstructure:"read_timeout"`
	// ReadHeaderTimeout is the longest time to read the header of a request.
	ReadHeaderTimeout time.Duration `mapstructure:"read_header_timeout"`
	// WriteTimeout is the longest time from the header of a request to the end of its answer. 0 means no limit.
	WriteTimeout time.Duration `mapstructure:"write_timeout"`
	// Keepalive says how long connections are kept between requests.
	Keepalive HTTPKeepaliveConfig `mapstructure:"keepalive"`
	// ResponseHeaders are added to every answer.
	ResponseHeaders configopaque.MapList `mapstructure:"response_headers"`
}

// HTTPKeepaliveConfig is the keepalive section of an HTTP listener.
type HTTPKeepaliveConfig struct {
	// Enabled keeps connections for further requests.
	Enabled bool `mapstructure:"enabled"`
	// IdleTimeout is how long a connection may wait for its next request.
	IdleTimeout time.Duration `mapstructure:"idle_timeout"`
}

// DefaultHTTPConfig returns the defaults with the given address.
func DefaultHTTPConfig(endpoint string) HTTPConfig {
	return HTTPConfig{
		AddrConfig:        AddrConfig{Endpoint: endpoint, Transport: "tcp"},
		TLS:               defaultTLSConfig(),
		ReadTimeout:       time.Minute,
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      2 * time.Minute,
		Keepalive:         HTTPKeepaliveConfig{Enabled: true, IdleTimeout: 2 * time.Minute},
	}
}

// Validate returns every problem, each with its key path relative to the
// section.
func (c *HTTPConfig) Validate() error {
	errs := append(c.AddrConfig.validate(), validateTLS(&c.TLS)...)
	for _, d := range []struct {
		key string
		d   time.Duration
	}{
		{"read_timeout", c.ReadTimeout},
		{"read_header_timeout", c.ReadHeaderTimeout},
		{"write_timeout", c.WriteTimeout},
		{"keepalive.idle_timeout", c.Keepalive.IdleTimeout},
	} {
		if d.d < 0 {
			errs = append(errs, fmt.Errorf("%s: %s is negative", d.key, d.d))
		}
	}
	if err := c.ResponseHeaders.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("response_headers: %w", err))
	}
	return errors.Join(errs...)
}

// HTTPOptions are what an HTTPServer needs beside its configuration.
type HTTPOptions struct {
	Key   string               // path of the section in the configuration, "prometheus"
	Grace func() time.Duration // how long requests in flight may take when it stops
	// ClientCertOptional lets clients in that show no certificate although
	// client_ca_file is set; the handler decides what they may do.
	ClientCertOptional bool

	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// HTTPServer is an HTTP/1.1 and, with TLS, HTTP/2 listener.
type HTTPServer struct {
	cfg    HTTPConfig
	opts   HTTPOptions
	m      *metrics
	certs  *certificates // nil without TLS
	server *http.Server
	lis    net.Listener
}

// NewHTTPServer validates cfg.
func NewHTTPServer(cfg HTTPConfig, handler http.Handler, opts HTTPOptions) (*HTTPServer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", opts.Key, err)
	}
	s := &HTTPServer{cfg: cfg, opts: opts, m: newMetrics(opts.Metrics, opts.Key)}
	if len(cfg.ResponseHeaders) > 0 {
		handler = addHeaders(handler, cfg.ResponseHeaders)
	}
	s.server = &http.Server{
		Handler:           handler,
		ReadTimeout:       cfg.ReadTimeout,
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       cfg.Keepalive.IdleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(&errorLog{Handler: opts.Log.Handler(), m: s.m}, slog.LevelDebug),
	}
	s.server.SetKeepAlivesEnabled(cfg.Keepalive.Enabled)
	if cfg.TLS.HasValue() {
		s.certs = newCertificates(opts.Key, *cfg.TLS.Get(), []string{"h2", "http/1.1"}, s.m, opts.Log)
		s.certs.optional = opts.ClientCertOptional
		s.server.TLSConfig = s.certs.serverConfig()
	}
	return s, nil
}

func addHeaders(next http.Handler, headers configopaque.MapList) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers.Iter {
			w.Header().Set(name, string(value))
		}
		next.ServeHTTP(w, r)
	})
}

// Listen reads the certificates and opens the listener. Its errors begin with
// the key path.
func (s *HTTPServer) Listen(ctx context.Context) error {
	if s.certs != nil {
		if err := s.certs.load(); err != nil {
			return err
		}
	}
	l, err := s.cfg.listen(ctx, s.opts.Key)
	if err != nil {
		return err
	}
	s.lis = &countingListener{Listener: l, m: s.m}
	return nil
}

// Addr is the address after Listen.
func (s *HTTPServer) Addr() net.Addr { return s.lis.Addr() }

// Close releases the listener of a server that will not Run.
func (s *HTTPServer) Close() {
	if s.lis != nil {
		s.lis.Close()
	}
}

// Run serves until ctx ends, then lets the requests in flight finish within the
// grace period.
func (s *HTTPServer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		if s.certs != nil {
			served <- s.server.ServeTLS(s.lis, "", "")
			return
		}
		served <- s.server.Serve(s.lis)
	}()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if s.certs != nil {
			s.certs.watch(ctx)
		}
	}()

	select {
	case err := <-served:
		cancel()
		<-watched
		return fmt.Errorf("%s: serving: %w", s.opts.Key, err)
	case <-ctx.Done():
	}
	grace, stop := context.WithTimeout(context.Background(), s.opts.Grace())
	defer stop()
	err := s.server.Shutdown(grace)
	if err != nil {
		s.server.Close()
		err = fmt.Errorf("%s: requests were cut off after %s", s.opts.Key, s.opts.Grace())
	}
	<-served
	<-watched
	return err
}

// PrepareTLS reads the certificates that cfg names and returns what puts them
// to use for the connections to come. Whether there is TLS at all cannot change.
func (s *HTTPServer) PrepareTLS(cfg TLSConfig) (apply func(), err error) {
	return prepareTLS(s.certs, s.opts.Key, cfg)
}

// errorLog takes net/http's lines about single connections: they are counted,
// and shown at level debug only.
type errorLog struct {
	slog.Handler
	m *metrics
}

func (h *errorLog) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "http: TLS handshake error") {
		h.m.handshakeFailures.Inc()
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// Enabled lets every line come to Handle, to be counted.
func (h *errorLog) Enabled(context.Context, slog.Level) bool { return true }
