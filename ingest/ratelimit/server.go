package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/mesh"
)

// Server answers rate limit requests.
type Server struct {
	cfg     atomic.Pointer[Config]
	finder  mesh.LimitFinder
	limiter mesh.Limiter
	log     *slog.Logger
	limit   ingest.InFlight
	books   *books
	m       *metrics
	calls   sync.Pool // of *call
}

// New returns a Server that asks f for limits and charges them to l.
func New(cfg Config, f mesh.LimitFinder, l mesh.Limiter, reg prometheus.Registerer, log *slog.Logger) (*Server, error) {
	s := &Server{finder: f, limiter: l, log: log, books: newBooks()}
	if err := s.Reconfigure(cfg); err != nil {
		return nil, err
	}
	s.m = newMetrics(reg, &s.limit, s.books)
	s.calls.New = func() any { return new(call) }
	return s, nil
}

// Reconfigure puts cfg to use for the requests that come from now on, or nothing
// of it and says why.
func (s *Server) Reconfigure(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("configure the rate limit service: %w", err)
	}
	s.limit.Limit(cfg.MaxInFlight)
	s.books.most.Store(int64(cfg.MaxMetrics))
	s.cfg.Store(&cfg)
	return nil
}

// Register adds the service to a gRPC server that uses ingest.Codec.
func (s *Server) Register(r grpc.ServiceRegistrar) { r.RegisterService(&serviceDesc, s) }

// serviceDesc is envoy.service.ratelimit.v3.RateLimitService. The generated one
// would decode every message before we see it.
var serviceDesc = grpc.ServiceDesc{
	ServiceName: "envoy.service.ratelimit.v3.RateLimitService",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "ShouldRateLimit",
		Handler: func(srv any, ctx context.Context, receive func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			return srv.(*Server).serve(ctx, receive)
		},
	}},
	Metadata: "envoy/service/ratelimit/v3/rls.proto",
}

// call is one request on its way.
type call struct {
	frame ingest.Frame
	request
	quotas   []mesh.Quota
	charged  []int // the descriptor of each quota
	results  []mesh.QuotaResult
	statuses []status
	limits   []byte // current limits that are not those of a rule
}

func (s *Server) release(c *call) {
	c.frame.Free()
	clear(c.quotas)
	clear(c.Matches)
	c.trim()
	if cap(c.statuses) > 64 {
		*c = call{}
	}
	s.calls.Put(c)
}

func (s *Server) serve(ctx context.Context, receive func(any) error) (any, error) {
	start := time.Now()
	c := s.calls.Get().(*call)
	defer s.release(c)
	if err := receive(&c.frame); err != nil {
		if grpcstatus.Code(err) == codes.ResourceExhausted {
			s.m.frames.WithLabelValues(refusedTooLarge).Inc()
			s.m.requests[outcomeRefused].Inc()
		}
		return nil, err
	}
	answer, o, err := s.answer(ctx, start, c)
	s.m.requests[o].Inc()
	s.m.duration.Observe(time.Since(start).Seconds())
	if err != nil {
		return nil, err
	}
	return ingest.NewFrame(answer), nil
}

// answer answers a request that was received.
func (s *Server) answer(ctx context.Context, start time.Time, c *call) ([]byte, outcome, error) {
	cfg := s.cfg.Load()
	if refused := c.decode(c.frame.Bytes()); refused != "" {
		return s.refuse(refused, "malformed RateLimitRequest: "+refused)
	}
	if !s.limit.Enter() {
		return s.fail(cfg, c, ingest.FailedOverload)
	}
	defer s.limit.Leave()
	b := ingest.NewBudget(ctx, start, cfg.Timeout)
	defer b.End()
	if err := s.find(b, c); err != nil {
		return s.unfound(ctx, b, cfg, c, err)
	}
	s.charge(b, c)
	answer, o := s.respond(cfg, c)
	return answer, o, nil
}

// unfound answers a request of which the limits could not be found out.
func (s *Server) unfound(ctx context.Context, b *ingest.Budget, cfg *Config, c *call, err error) ([]byte, outcome, error) {
	var invalid *mesh.LimitRequestError
	switch {
	case errors.As(err, &invalid):
		return s.refuse(refusedInvalid, err.Error())
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, outcomeCanceled, grpcstatus.FromContextError(ctx.Err()).Err()
	}
	return s.fail(cfg, c, b.Failed(err))
}

func (s *Server) refuse(reason, message string) ([]byte, outcome, error) {
	s.m.frames.WithLabelValues(reason).Inc()
	return nil, outcomeRefused, grpcstatus.Error(codes.InvalidArgument, message)
}

// fail returns the configured answer to a failure. It is the only place that
// says what one means.
func (s *Server) fail(cfg *Config, c *call, reason string) ([]byte, outcome, error) {
	s.m.failures.WithLabelValues(reason).Inc()
	st := status{code: codeOK}
	switch o := outcomeErrorAllow; cfg.OnError {
	case OnErrorDeny:
		st.code, o = codeOverLimit, outcomeErrorDeny
		fallthrough
	case OnErrorAllow:
		b := []byte{responseCode << 3, byte(st.code)}
		for range c.Descriptors {
			b = st.append(b)
		}
		return b, o, nil
	}
	return nil, outcomeErrorResponse, grpcstatus.Error(codes.Unavailable, "the limits could not be found out: "+reason)
}

func (s *Server) find(ctx context.Context, c *call) (err error) {
	defer ingest.Recovered(ctx, s.log, "finding rate limits", &err)
	n := len(c.Descriptors)
	if cap(c.Matches) < n {
		c.Matches = make([]mesh.LimitMatch, n)
	}
	c.Matches = c.Matches[:n]
	return s.finder.FindLimits(ctx, &c.LimitRequest)
}
