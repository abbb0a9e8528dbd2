package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tallygate/tallygate/ingest"
)

// Options are what a Server shows.
type Options struct {
	Registerer prometheus.Registerer
	Metrics    prometheus.Gatherer    // our own, for /metrics
	Readiness  *Readiness             // for /readyz
	Config     func() ([]byte, error) // for /debug/config: YAML without secrets
	Decisions  func() any             // for /api/v1/decisions; nil without the policy plane
	Shadow     func() any             // for /api/v1/shadow; nil without the policy plane
	Routes     []Route                // further ones
	Log        *slog.Logger
}

// Route is something else that the endpoint serves.
type Route struct {
	Pattern string // of http.ServeMux, with the method
	Handler http.Handler
	Open    bool // to everyone who can reach the port, not only to who is trusted
}

// Server is the admin endpoint.
type Server struct {
	cfg   Config
	opts  Options
	guard *guard
	http  *ingest.HTTPServer

	patterns []string
}

// New validates cfg.
func New(cfg Config, opts Options) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	s := &Server{cfg: cfg, opts: opts, guard: newGuard(cfg.AllowedHosts, opts.Registerer)}
	var err error
	s.http, err = ingest.NewHTTPServer(cfg.HTTPConfig, s.guard.addressed(s.mux()), ingest.HTTPOptions{
		Key:                "admin",
		Grace:              func() time.Duration { return time.Second },
		ClientCertOptional: true,
		Metrics:            opts.Registerer,
		Log:                opts.Log,
	})
	return s, err
}

func (s *Server) mux() *http.ServeMux {
	open := func(pattern string, h http.Handler) Route { return Route{pattern, h, true} }
	trusted := func(pattern string, h http.HandlerFunc) Route { return Route{pattern, h, false} }
	routes := []Route{
		open("GET /healthz", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })),
		open("GET /readyz", s.opts.Readiness),
		open("GET /metrics", promhttp.InstrumentMetricHandler(s.opts.Registerer, promhttp.HandlerFor(s.opts.Metrics, promhttp.HandlerOpts{}))),
		trusted("GET /debug/config", s.serveConfig),
		trusted("POST /api/v1/login", s.serveLogin),
		open("POST /api/v1/session", http.HandlerFunc(s.serveSession)),
		trusted("GET /debug/pprof/", pprof.Index),
		trusted("GET /debug/pprof/cmdline", pprof.Cmdline),
		trusted("GET /debug/pprof/profile", pprof.Profile),
		trusted("GET /debug/pprof/symbol", pprof.Symbol),
		trusted("POST /debug/pprof/symbol", pprof.Symbol),
		trusted("GET /debug/pprof/trace", pprof.Trace),
	}
	if s.opts.Decisions != nil {
		routes = append(routes,
			trusted("GET /api/v1/decisions", serveJSON(s.opts.Decisions)),
			trusted("GET /api/v1/shadow", serveJSON(s.opts.Shadow)))
	}
	mux := http.NewServeMux()
	for _, r := range append(routes, s.opts.Routes...) {
		s.patterns = append(s.patterns, r.Pattern)
		if !r.Open {
			r.Handler = s.guard.trusted(r.Handler)
		}
		mux.Handle(r.Pattern, r.Handler)
	}
	return mux
}

// Patterns returns the patterns of all routes.
func (s *Server) Patterns() []string { return s.patterns }

func (s *Server) serveConfig(w http.ResponseWriter, _ *http.Request) {
	b, err := s.opts.Config()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
	w.Write(b)
}

func serveJSON(read func() any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		b, err := json.Marshal(read())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(b)
	}
}

// Listen opens the listener. Its errors begin with the key path.
func (s *Server) Listen(ctx context.Context) error { return s.http.Listen(ctx) }

// Addr is the address after Listen.
func (s *Server) Addr() net.Addr { return s.http.Addr() }

// Close releases the listener of a server that will not Run.
func (s *Server) Close() { s.http.Close() }

// PrepareTLS is that of [ingest.HTTPServer].
func (s *Server) PrepareTLS(cfg ingest.TLSConfig) (apply func(), err error) {
	return s.http.PrepareTLS(cfg)
}

// Run writes the token and serves until ctx ends. A token that cannot be written
// is an error only if its file was configured: without it what is open stays
// open and the rest stays closed.
func (s *Server) Run(ctx context.Context) error {
	if s.cfg.Token != "" {
		token := string(s.cfg.Token)
		s.guard.token.Store(&token)
		return s.http.Run(ctx)
	}
	path, err := s.cfg.TokenFile, error(nil)
	if path == "" {
		path, err = TokenFile(s.Addr().String())
	}
	var token string
	if err == nil {
		token, err = writeToken(path)
	}
	switch {
	case err == nil:
		s.guard.token.Store(&token)
		defer removeToken(path, token)
	case s.cfg.TokenFile != "":
		s.http.Close()
		return fmt.Errorf("admin.token_file: writing the token: %w", err)
	default:
		s.opts.Log.Warn("No admin token: doctor, profiles and /debug/config are closed", "err", err)
	}
	return s.http.Run(ctx)
}
