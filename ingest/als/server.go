package als

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/grpc"
)

// Server is the access-log service. It counts into its sink from many streams
// at once.
type Server struct {
	cfg  Config
	sink mesh.Sink
	log  *slog.Logger
	m    *metrics

	books    books
	registry *registry
	tcp      *tcpTable
	labels   atomic.Pointer[labelSet]
	workers  chan *worker // as many as messages may be worked on at once
	setting  sync.Mutex   // held while labels are changed
	memory   atomic.Int64 // what is left of Config.MaxMemoEntries

	draining  chan struct{}
	drainOnce sync.Once

	mu      sync.Mutex
	changed *sync.Cond // a stream went
	streams map[*stream]struct{}
}

// New returns a Server that hands its entries to sink. labels are the custom
// labels, in the order of the values of mesh.Entry.Custom.
func New(cfg Config, labels []mesh.CustomLabel, sink mesh.Sink, reg prometheus.Registerer, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("access-log service: %w", err)
	}
	if sink == nil {
		return nil, errors.New("access-log service: no sink")
	}
	if cfg.Decoders == 0 {
		cfg.Decoders = runtime.GOMAXPROCS(0)
	}
	if cfg.DecoderShare == 0 {
		cfg.DecoderShare = 1
	}
	s := &Server{
		cfg:      cfg,
		sink:     sink,
		log:      log,
		workers:  make(chan *worker, cfg.Decoders),
		draining: make(chan struct{}),
		streams:  make(map[*stream]struct{}),
	}
	s.changed = sync.NewCond(&s.mu)
	s.memory.Store(int64(cfg.MaxMemoEntries))
	s.m = newMetrics(reg, s)
	s.registry = newRegistry(cfg.Learned, s.m)
	s.tcp = newTCPTable(cfg.TCP, s.m, time.Now())
	s.labels.Store(newLabelSet(labels))
	for range cfg.Decoders {
		s.workers <- newWorker(cfg.DecoderShare)
	}
	return s, nil
}

// take waits for a worker and for its turn.
func (s *Server) take() *worker {
	w := <-s.workers
	w.pace.Begin()
	return w
}

func (s *Server) give(w *worker) {
	w.pace.End()
	s.workers <- w
}

// SetLabels changes the custom labels here and, by calling with, in the sink, at
// one moment: it waits for the messages that are worked on, and the next ones
// wait for it. So every entry is counted under the labels that it was read for.
// If with fails, the labels stay.
func (s *Server) SetLabels(labels []mesh.CustomLabel, with func() error) error {
	s.setting.Lock() // two that each have some of the workers would wait for ever
	defer s.setting.Unlock()
	for range cap(s.workers) {
		w := <-s.workers
		defer func() { s.workers <- w }()
	}
	if err := with(); err != nil {
		return err
	}
	s.labels.Store(newLabelSet(labels))
	return nil
}

// Register adds the service to a gRPC server that uses ingest.Codec.
func (s *Server) Register(r grpc.ServiceRegistrar) { r.RegisterService(&serviceDesc, s) }

// serviceDesc is envoy.service.accesslog.v3.AccessLogService. The generated one
// would decode every message before we see it.
var serviceDesc = grpc.ServiceDesc{
	ServiceName: "envoy.service.accesslog.v3.AccessLogService",
	HandlerType: (*any)(nil),
	Streams: []grpc.StreamDesc{{
		StreamName:    "StreamAccessLogs",
		ClientStreams: true,
		Handler: func(srv any, ss grpc.ServerStream) error {
			return srv.(*Server).serve(ss)
		},
	}},
	Metadata: "envoy/service/accesslog/v3/als.proto",
}

const (
	expireEvery = 10 * time.Second
)

// Run expires what is learned and remembered, until ctx ends. It returns nil.
func (s *Server) Run(ctx context.Context) error {
	publish := time.NewTicker(publishEvery)
	defer publish.Stop()
	expire := time.NewTicker(expireEvery)
	defer expire.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-publish.C:
			s.registry.publishDue(now)
		case now := <-expire.C:
			s.registry.expire(now)
			s.tcp.expire(now)
		}
	}
}

// Drain lets every stream end at its next quiet moment: after a message, or when
// it was idle for longer than a proxy holds entries back. It is called once the
// clients were told to go elsewhere (GOAWAY), and returns when all streams have
// ended, or with ctx's error if ctx ends before.
func (s *Server) Drain(ctx context.Context) error {
	s.drainOnce.Do(func() { close(s.draining) })
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.streams) > 0 {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("drain %d access-log streams: %w", len(s.streams), err)
		}
		s.changed.Wait()
	}
	return nil
}

func (s *Server) openStreams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

func (s *Server) add(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[st] = struct{}{}
}

func (s *Server) remove(st *stream) {
	st.memo.clear()
	st.customs.clear()
	st.mu.Lock()
	st.id.forget(s.registry, time.Now())
	st.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
	s.changed.Broadcast()
}
