package extauthz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
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
	settings atomic.Pointer[settings]
	decider  mesh.Decider
	log      *slog.Logger
	limit    ingest.InFlight
	m        *metrics
	checks   sync.Pool // of *check
}

// settings is a Config put to use.
type settings struct {
	Config
	bodies *bodyParser // nil if bodies are not parsed
}

// New returns a Server that asks d. It reads the descriptor set, if there is one.
func New(cfg Config, d mesh.Decider, reg prometheus.Registerer, log *slog.Logger) (*Server, error) {
	s := &Server{decider: d, log: log}
	if err := s.Reconfigure(cfg); err != nil {
		return nil, err
	}
	s.m = newMetrics(reg, &s.limit)
	s.checks.New = func() any { return new(check) }
	return s, nil
}

// Reconfigure puts cfg to use for the checks that come from now on, or nothing
// of it and says why.
func (s *Server) Reconfigure(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("configure ext_authz: %w", err)
	}
	n := &settings{Config: cfg}
	if cfg.ParseBody {
		n.bodies = &bodyParser{max: cfg.MaxBodyKiB << 10}
		if cfg.ProtoDescriptor != "" {
			var err error
			if n.bodies.descriptors, err = readDescriptors(cfg.ProtoDescriptor); err != nil {
				return fmt.Errorf("configure ext_authz: proto_descriptor: %w", err)
			}
		}
	}
	s.limit.Limit(cfg.MaxInFlight)
	s.settings.Store(n)
	return nil
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
	*settings
	frame    ingest.Frame
	http     []byte // the CheckRequest made of an HTTP request
	lens     lens
	query    mesh.Query
	listener mesh.Listener
}

func (s *Server) begin() *check {
	c := s.checks.Get().(*check)
	c.settings = s.settings.Load()
	c.lens.bodies = c.bodies
	return c
}

func (s *Server) release(c *check) {
	c.lens.release()
	c.query = mesh.Query{Charges: c.query.Charges[:0]}
	c.frame.Free()
	if cap(c.http) > 64<<10 {
		c.http = nil
	}
	s.checks.Put(c)
}

// Why a frame is refused, as metrics name it.
const (
	frameMalformed = "malformed"
	frameTooLarge  = "too_large" // above max_recv_msg_size_mib
)

func (s *Server) serve(ctx context.Context, receive func(any) error) (any, error) {
	start := time.Now()
	c := s.begin()
	defer s.release(c)
	if err := receive(&c.frame); err != nil {
		if status.Code(err) == codes.ResourceExhausted {
			s.m.frames.WithLabelValues(frameTooLarge).Inc()
		}
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
	entrypoint, _ := c.lens.entry(nodeExtensions, c.EntrypointKey)
	j := s.judge(ctx, start, c, entrypoint)
	var answer []byte
	if j.outcome != outcomeCanceled {
		answer = s.response(c, &j)
	}
	s.count(c, start, &j)
	if j.outcome == outcomeCanceled {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return ingest.NewFrame(answer), nil
}

func (s *Server) count(c *check, start time.Time, j *judgement) {
	s.m.checks[c.listener][j.outcome].Inc()
	s.m.duration[c.listener].Observe(time.Since(start).Seconds())
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
	if !s.limit.Enter() {
		return s.fail(c, ingest.FailedOverload, entrypoint)
	}
	defer s.limit.Leave()
	if p := c.lens.parse(); p != "" {
		return s.refuse(p)
	}
	c.query = mesh.Query{Entrypoint: entrypoint, Listener: c.listener, Request: &c.lens, TraceID: c.lens.traceID(), Charges: c.query.Charges[:0]}
	b := ingest.NewBudget(ctx, start, c.Timeout)
	defer b.End()
	d, err := s.decide(b, &c.query)
	switch {
	case err != nil && errors.Is(ctx.Err(), context.Canceled):
		return judgement{outcome: outcomeCanceled}
	case err != nil || d.Verdict == nil:
		return s.fail(c, b.Failed(err), entrypoint)
	case c.lens.problem != "":
		return s.refuse(c.lens.problem)
	}
	if d.ID == "" {
		d.ID = newID()
	}
	j := judgement{outcome: outcomeDeny, Decision: d}
	if d.Allowed {
		j.outcome = outcomeAllow
		if d.Charges != nil {
			c.query.Charges = d.Charges // as large as it has become
		}
		if d.Charge.Over {
			j.outcome = outcomeQuota
		}
	}
	return j
}

// refuse returns the answer to a request that cannot be read.
func (s *Server) refuse(p problem) judgement {
	s.m.requests.WithLabelValues(string(p)).Inc()
	return judgement{outcome: outcomeRefused, refused: p, Decision: mesh.Decision{ID: newID()}}
}

// fail returns the configured answer to a failure.
func (s *Server) fail(c *check, reason, entrypoint string) judgement {
	s.m.failures.WithLabelValues(reason).Inc()
	j := judgement{failed: reason, onError: c.onError(entrypoint), Decision: mesh.Decision{ID: newID()}}
	switch {
	case reason == ingest.FailedOverload:
		j.outcome = outcomeShed
	case j.onError == OnErrorAllow:
		j.outcome = outcomeErrorAllow
	case j.onError == OnErrorDeny:
		j.outcome = outcomeErrorDeny
	default:
		j.outcome = outcomeErrorResponse
	}
	return j
}

func (s *Server) decide(ctx context.Context, q *mesh.Query) (d mesh.Decision, err error) {
	defer ingest.Recovered(ctx, s.log, "judging a request", &err)
	return s.decider.Decide(ctx, q)
}
