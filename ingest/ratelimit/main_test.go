package ratelimit

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// finderFunc is a finder for tests of what can go wrong.
type finderFunc func(ctx context.Context, r *mesh.LimitRequest) error

func (f finderFunc) FindLimits(ctx context.Context, r *mesh.LimitRequest) error { return f(ctx, r) }

// limiterFunc is a limiter for tests of answers.
type limiterFunc func(q *mesh.Quota) mesh.QuotaResult

func (f limiterFunc) Charge(_ context.Context, quotas []mesh.Quota, results []mesh.QuotaResult, mode mesh.ChargeMode) mesh.QuotaVerdict {
	for i := range quotas {
		results[i] = f(&quotas[i])
	}
	return mesh.QuotaVerdict{}
}

func newTestServer(t testing.TB, f mesh.LimitFinder, l mesh.Limiter, change func(*Config)) (*Server, *prometheus.Registry) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Timeout = 1e10 // nothing here is about time unless it says so
	if change != nil {
		change(&cfg)
	}
	reg := prometheus.NewPedanticRegistry()
	s, err := New(cfg, f, l, reg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return s, reg
}

func dial(t testing.TB, s *Server) rlsv3.RateLimitServiceClient {
	t.Helper()
	return rlsv3.NewRateLimitServiceClient(ingesttest.Serve(t, s.Register))
}

// descriptor is written as key=value,key=value.
func descriptor(s string) *commonv3.RateLimitDescriptor {
	d := &commonv3.RateLimitDescriptor{}
	for e := range strings.SplitSeq(s, ",") {
		key, value, _ := strings.Cut(e, "=")
		d.Entries = append(d.Entries, &commonv3.RateLimitDescriptor_Entry{Key: key, Value: value})
	}
	return d
}

func requestOf(domain string, descriptors ...string) *rlsv3.RateLimitRequest {
	m := &rlsv3.RateLimitRequest{Domain: domain}
	for _, d := range descriptors {
		m.Descriptors = append(m.Descriptors, descriptor(d))
	}
	return m
}

func mustMarshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	return b
}
