package extauthz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Server answers checks. Its listeners share the limit and the metrics.
type Server struct {
	cfg     Config
	decider mesh.Decider
	log     *slog.Logger
	limit   *limiter
	m       *metrics
	bodies  *bodyParser
	checks  sync.Pool // of *check
}

// New returns a Server that asks d.
func New(cfg Config, d mesh.Decider, reg prometheus.Registerer, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure ext_authz: %w", err)
	}
	s := &Server{cfg: cfg, decider: d, log: log, limit: newLimiter(cfg.Limit, cfg.Timeout), bodies: &bodyParser{max: cfg.MaxBody}}
	if cfg.ProtoDescriptor != "" {
		var err error
		if s.bodies.descriptors, err = readDescriptors(cfg.ProtoDescriptor); err != nil {
			return nil, fmt.Errorf("configure ext_authz: proto_descriptor: %w", err)
		}
	}
	s.m = newMetrics(reg, s.limit)
	s.checks.New = func() any { return &check{lens: lens{bodies: s.bodies}} }
	return s, nil
}

// Register adds the service to a gRPC server that uses ingest.Codec.
func (s *Server) Register(r grpc.ServiceRegistrar) { r.RegisterService(&serviceDesc, s) }

// serviceDesc is envoy.service.auth.v3.Authorization. The generated one would
// decode every message before we see it.
var serviceDesc = grpc.ServiceDesc{
	ServiceName: "envoy.service.auth.v3.Authorization",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Check",
		Handler: func(srv any, ctx context.Context, receive func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			return srv.(*Server).serve(ctx, receive)
		},
	}},
	Metadata: "envoy/service/auth/v3/external_auth.proto",
}

// check is one request on its way.
type check struct {
	frame    ingest.Frame
	lens     lens
	query    mesh.Query
	listener mesh.Listener
}

const frameMalformed = "malformed"

func (s *Server) serve(ctx context.Context, receive func(any) error) (any, error) {
	start := time.Now()
	c := s.checks.Get().(*check)
	defer s.release(c)
	if err := receive(&c.frame); err != nil {
		return nil, err
	}
	if !c.lens.reset(c.frame.Bytes()) {
		s.m.frames.WithLabelValues(frameMalformed).Inc()
		return nil, status.Error(codes.InvalidArgument, "malformed CheckRequest")
	}
	c.listener = mesh.ListenerExtAuthzTCP
	if c.lens.has(nodeHTTP) {
		c.listener = mesh.ListenerExtAuthzHTTP
	}
	entrypoint, _ := c.lens.entry(nodeExtensions, s.cfg.EntrypointKey)
	j := s.judge(ctx, start, c, entrypoint)
	var answer []byte
	if j.outcome != outcomeCanceled {
		answer = s.response(c.listener, &j)
	}
	s.m.checks[c.listener][j.outcome].Inc()
	s.m.duration[c.listener].Observe(time.Since(start).Seconds())
	if j.outcome == outcomeCanceled {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return ingest.NewFrame(answer), nil
}

func (s *Server) release(c *check) {
	c.lens.release()
	c.query = mesh.Query{}
	c.frame.Free()
	s.checks.Put(c)
}

// judgement is what came of a check, whatever protocol says it.
type judgement struct {
	outcome outcome
	failed  string  // why it was not judged
	onError OnError // what that means
	refused problem // what could not be read
	mesh.Decision
}

// judge asks the decider. It is the only place that says what a failure means.
func (s *Server) judge(ctx context.Context, start time.Time, c *check, entrypoint string) judgement {
	if !s.limit.enter() {
		return s.fail(failedOverload, entrypoint, outcomeShed)
	}
	c.query = mesh.Query{Entrypoint: entrypoint, Listener: c.listener, Request: &c.lens, TraceID: c.lens.traceID()}
	b := newBudget(ctx, start, s.cfg.Timeout)
	d, err := s.decide(b, &c.query)
	now := time.Now()
	s.limit.leave(now, now.Sub(start))
	failed := failedError
	if err != nil {
		failed = s.reason(b, err)
	}
	b.end()
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled):
		return judgement{outcome: outcomeCanceled}
	case err != nil || d.Verdict == nil:
		return s.fail(failed, entrypoint, outcomeErrorDeny)
	}
	if d.ID == "" {
		d.ID = newID()
	}
	if p := c.lens.problem; p != "" {
		s.m.requests.WithLabelValues(string(p)).Inc()
		return judgement{outcome: outcomeRefused, refused: p, Decision: d}
	}
	j := judgement{outcome: outcomeDeny, Decision: d}
	if d.Allowed {
		j.outcome = outcomeAllow
	}
	return j
}

// fail returns the configured answer to a failure.
func (s *Server) fail(reason, entrypoint string, o outcome) judgement {
	s.m.failures.WithLabelValues(reason).Inc()
	j := judgement{outcome: o, failed: reason, onError: s.cfg.onError(entrypoint), Decision: mesh.Decision{ID: newID()}}
	if o == outcomeShed {
		return j
	}
	switch j.onError {
	case OnErrorAllow:
		j.outcome = outcomeErrorAllow
	case OnErrorResponse:
		j.outcome = outcomeErrorResponse
	}
	return j
}

// errPanic is what a decider that panics comes to: a failure of one request.
var errPanic = errors.New("the decider panicked")

func (s *Server) decide(ctx context.Context, q *mesh.Query) (d mesh.Decision, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.log.ErrorContext(ctx, "judging a request panicked", "panic", r, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return s.decider.Decide(ctx, q)
}

func (s *Server) reason(b *budget, err error) string {
	switch {
	case errors.Is(err, errPanic):
		return failedPanic
	case errors.Is(err, context.DeadlineExceeded), b.Err() != nil:
		return failedDeadline
	}
	return failedError
}
