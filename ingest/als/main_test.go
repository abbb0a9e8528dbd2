package als

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memorySink keeps copies of what it is handed.
type memorySink struct {
	mu      sync.Mutex
	entries []mesh.Entry
	err     error
}

func (s *memorySink) Consume(_ context.Context, b *mesh.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	for _, e := range b.Entries {
		e.TraceID, e.SpanID = strings.Clone(e.TraceID), strings.Clone(e.SpanID)
		s.entries = append(s.entries, e)
	}
	return nil
}

func (s *memorySink) all() []mesh.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]mesh.Entry(nil), s.entries...)
}

// newTestServer returns a Server with its own registry.
func newTestServer(t testing.TB, sink mesh.Sink, change func(*Config), labels ...mesh.CustomLabel) (*Server, *prometheus.Registry) {
	t.Helper()
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	reg := prometheus.NewPedanticRegistry()
	s, err := New(cfg, labels, sink, reg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return s, reg
}

// dial serves s over loopback and returns a client.
func dial(t testing.TB, s *Server) alsv3.AccessLogServiceClient {
	t.Helper()
	t.Cleanup(func() { // after the server has stopped
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Drain(ctx); err != nil {
			t.Errorf("drain: %v", err)
		}
	})
	return alsv3.NewAccessLogServiceClient(ingesttest.Serve(t, s.Register))
}

// checkBooks compares what was received with where it went.
func checkBooks(t testing.TB, reg prometheus.Gatherer, counted int) {
	t.Helper()
	received := ingesttest.Metric(t, reg, "tallygate_als_entries_received_total")
	skipped := ingesttest.Metric(t, reg, "tallygate_als_entries_skipped_total")
	dropped := ingesttest.Metric(t, reg, "tallygate_als_entries_dropped_total")
	if received != float64(counted)+skipped+dropped {
		t.Errorf("books: received %v != counted %d + skipped %v + dropped %v", received, counted, skipped, dropped)
	}
}
