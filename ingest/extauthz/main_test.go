package extauthz

import (
	"context"
	"log/slog"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deciderFunc is a decider for tests.
type deciderFunc func(ctx context.Context, q *mesh.Query) (mesh.Decision, error)

func (f deciderFunc) Decide(ctx context.Context, q *mesh.Query) (mesh.Decision, error) {
	return f(ctx, q)
}

// always gives the same verdict.
func always(v *mesh.Verdict) mesh.Decider {
	return deciderFunc(func(context.Context, *mesh.Query) (mesh.Decision, error) {
		return mesh.Decision{Verdict: v, ID: "0123456789abcdef0123456789abcdef"}, nil
	})
}

func newTestServer(t testing.TB, d mesh.Decider, change func(*Config)) (*Server, *prometheus.Registry) {
	t.Helper()
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	reg := prometheus.NewPedanticRegistry()
	s, err := New(cfg, d, reg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return s, reg
}

func dial(t testing.TB, s *Server) authv3.AuthorizationClient {
	t.Helper()
	return authv3.NewAuthorizationClient(ingesttest.Serve(t, s.Register))
}
