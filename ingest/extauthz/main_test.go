package extauthz

import (
	"context"
	"log/slog"
	"net"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/mesh"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
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

// listen serves what register registers over loopback.
func listen(t testing.TB, register func(grpc.ServiceRegistrar)) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(ingest.Codec()))
	register(server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return conn
}

func dial(t testing.TB, s *Server) authv3.AuthorizationClient {
	t.Helper()
	return authv3.NewAuthorizationClient(listen(t, s.Register))
}

// metric returns the sum of a family over the series that have all the given
// label values.
func metric(t testing.TB, reg prometheus.Gatherer, name string, values ...string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatalf("gather: %v", err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for _, want := range values {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetValue() == want
				}
				if !found {
					continue series
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}
