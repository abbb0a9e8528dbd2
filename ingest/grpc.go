package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/config/configtls"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// goAwayHead is the time between the start of grpc's graceful stop and the
// moment when handlers are asked to return: grpc does not say when its GOAWAY
// is out, and a stream that ends before it would come back on the connection.
const goAwayHead = 50 * time.Millisecond

// GRPCOptions are what a GRPCServer needs beside its configuration.
type GRPCOptions struct {
	// Key is the path of the section in the configuration, "ingest.als". It
	// names the listener in messages and metrics.
	Key string
	// Drain is called once the clients were told to go elsewhere. It makes the
	// handlers return by themselves: GOAWAY alone never moves a stream.
	Drain func(context.Context) error
	// Workers is how many goroutines are kept for requests to come; when all are
	// busy a request gets one of its own. For short calls: a new goroutine spends
	// a sixth of the time of one on growing its stack.
	Workers uint32
	// Grace is how long a drain may take before what is left is cut off.
	Grace   func() time.Duration
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// GRPCServer is a gRPC listener with TLS, health service and drain.
type GRPCServer struct {
	cfg    GRPCConfig
	opts   GRPCOptions
	m      *metrics
	certs  *certificates // nil without TLS
	health *healthServer
	lis    net.Listener

	services []service
	server   *grpc.Server // of Run, for it has goroutines
}

type service struct {
	desc *grpc.ServiceDesc
	impl any
}

// NewGRPCServer validates cfg. The server must be given its services before
// Run.
func NewGRPCServer(cfg GRPCConfig, opts GRPCOptions) (*GRPCServer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", opts.Key, err)
	}
	s := &GRPCServer{cfg: cfg, opts: opts, m: newMetrics(opts.Metrics, opts.Key), health: newHealthServer()}
	if cfg.TLS.HasValue() {
		s.certs = newCertificates(opts.Key, *cfg.TLS.Get(), []string{"h2"}, s.m, opts.Log)
	}
	return s, nil
}

// RegisterService implements [grpc.ServiceRegistrar].
func (s *GRPCServer) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.services = append(s.services, service{desc, impl})
	s.health.SetServingStatus(desc.ServiceName, healthpb.HealthCheckResponse_SERVING)
}

// Listen reads the certificates and opens the listener. Its errors begin with
// the key path.
func (s *GRPCServer) Listen(ctx context.Context) error {
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
func (s *GRPCServer) Addr() net.Addr { return s.lis.Addr() }

// Close releases the listener of a server that will not Run.
func (s *GRPCServer) Close() {
	if s.lis != nil {
		s.lis.Close()
	}
}

// newServer returns a server of the registered services.
func (s *GRPCServer) newServer() *grpc.Server {
	opts := s.cfg.serverOptions()
	if s.opts.Workers > 0 {
		opts = append(opts, grpc.NumStreamWorkers(s.opts.Workers))
	}
	if s.certs != nil {
		creds := credentials.NewTLS(s.certs.serverConfig())
		opts = append(opts, grpc.Creds(&countingCredentials{TransportCredentials: creds, m: s.m}))
	}
	server := grpc.NewServer(opts...)
	healthpb.RegisterHealthServer(server, s.health)
	for _, svc := range s.services {
		server.RegisterService(svc.desc, svc.impl)
	}
	return server
}

// Run serves until ctx ends, then drains: health says NOT_SERVING, GOAWAY, the
// handlers return, at the latest after the grace period.
func (s *GRPCServer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.server = s.newServer()
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(s.lis) }()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if s.certs != nil {
			s.certs.watch(ctx)
		}
	}()

	select {
	case err := <-served:
		s.server.Stop()
		cancel()
		<-watched
		return fmt.Errorf("%s: serving: %w", s.opts.Key, err)
	case <-ctx.Done():
	}
	err := s.drain()
	<-served
	<-watched
	return err
}

// NotServing makes the health service say NOT_SERVING, while everything else goes
// on: a load balancer chooses others before the drain sends its streams away.
func (s *GRPCServer) NotServing() { s.health.Shutdown() }

func (s *GRPCServer) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Grace())
	defer cancel()
	s.health.Shutdown()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.server.GracefulStop()
	}()
	sleep(ctx, goAwayHead)
	s.health.endWatches()
	var err error
	if s.opts.Drain != nil {
		err = s.opts.Drain(ctx)
	}
	select {
	case <-stopped:
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("%s: streams were cut off after %s", s.opts.Key, s.opts.Grace()))
		s.server.Stop()
		<-stopped
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// PrepareTLS reads the certificates that cfg names and returns what puts them
// to use for the connections to come. Whether there is TLS at all cannot change.
func (s *GRPCServer) PrepareTLS(cfg TLSConfig) (apply func(), err error) {
	return prepareTLS(s.certs, s.opts.Key, cfg)
}

func prepareTLS(certs *certificates, key string, cfg TLSConfig) (apply func(), err error) {
	if cfg.HasValue() != (certs != nil) {
		return nil, fmt.Errorf("%s.tls: TLS cannot be switched on or off while running", key)
	}
	if certs == nil {
		return func() {}, nil
	}
	var c configtls.ServerConfig = *cfg.Get()
	return certs.prepare(c)
}

// countingCredentials counts failed handshakes.
type countingCredentials struct {
	credentials.TransportCredentials
	m *metrics
}

func (c *countingCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	nc, info, err := c.TransportCredentials.ServerHandshake(conn)
	if err != nil {
		c.m.handshakeFailures.Inc()
	}
	return nc, info, err
}

func (c *countingCredentials) Clone() credentials.TransportCredentials {
	return &countingCredentials{TransportCredentials: c.TransportCredentials.Clone(), m: c.m}
}
