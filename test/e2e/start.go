package e2e

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// startTimeout bounds the start of one program; Cassandra on a busy machine is
// the slowest.
const startTimeout = 2 * time.Minute

var beds sync.Map // testing.TB → *testbed.Bed

// Bed returns the bed of a test: what is started in it ends with the test.
func Bed(t testing.TB) *testbed.Bed {
	t.Helper()
	if b, ok := beds.Load(t); ok {
		return b.(*testbed.Bed)
	}
	b, err := testbed.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	beds.Store(t, b)
	t.Cleanup(func() {
		beds.Delete(t)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			for _, p := range b.Processes() {
				t.Logf("=== the end of the log of %s\n%s", p.Name, p.Log(3000))
			}
		}
	})
	return b
}

func start[T any](t testing.TB, f func(context.Context, *testbed.Bed) (T, error)) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	v, err := f(ctx, Bed(t))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// NewCA returns a new certificate authority of the test.
func NewCA(t testing.TB) *testbed.CA {
	t.Helper()
	ca, err := testbed.NewCA(filepath.Join(Bed(t).Dir, "pki"))
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// StartEnvoy starts a real Envoy.
func StartEnvoy(t testing.TB, cfg testbed.EnvoyConfig) *testbed.Envoy {
	t.Helper()
	return start(t, func(ctx context.Context, b *testbed.Bed) (*testbed.Envoy, error) { return b.StartEnvoy(ctx, cfg) })
}

// StartMesh starts three workloads with real sidecars, and a driver.
func StartMesh(t testing.TB, ca *testbed.CA, cfg testbed.MeshConfig) (*testbed.Mesh, *testbed.Driver) {
	t.Helper()
	m := start(t, func(ctx context.Context, b *testbed.Bed) (*testbed.Mesh, error) { return b.StartMesh(ctx, ca, cfg) })
	d, err := m.Driver()
	if err != nil {
		t.Fatal(err)
	}
	return m, d
}

// StartTallygate starts the real binary.
func StartTallygate(t testing.TB, cfg testbed.TallygateConfig) *testbed.Tallygate {
	t.Helper()
	return start(t, func(ctx context.Context, b *testbed.Bed) (*testbed.Tallygate, error) {
		return b.StartTallygate(ctx, cfg)
	})
}

// StartPrometheus starts a real Prometheus.
func StartPrometheus(t testing.TB, cfg testbed.PrometheusConfig) *testbed.Prometheus {
	t.Helper()
	return start(t, func(ctx context.Context, b *testbed.Bed) (*testbed.Prometheus, error) {
		return b.StartPrometheus(ctx, cfg)
	})
}

// StartRedis starts a real Redis.
func StartRedis(t testing.TB) *testbed.Redis {
	t.Helper()
	return start(t, func(ctx context.Context, b *testbed.Bed) (*testbed.Redis, error) { return b.StartRedis(ctx) })
}

// StartCassandra starts a real Cassandra node that loses nothing by a kill.
func StartCassandra(t testing.TB) *testbed.Cassandra {
	t.Helper()
	return start(t, func(ctx context.Context, b *testbed.Bed) (*testbed.Cassandra, error) {
		return b.StartCassandra(ctx, testbed.CassandraConfig{})
	})
}

// StartJaeger starts a real Jaeger.
func StartJaeger(t testing.TB, cfg testbed.JaegerConfig) *testbed.Jaeger {
	t.Helper()
	return start(t, func(ctx context.Context, b *testbed.Bed) (*testbed.Jaeger, error) { return b.StartJaeger(ctx, cfg) })
}

// Eventually polls f until it returns nil, and fails the test with its last
// error after the deadline.
func Eventually(t testing.TB, within time.Duration, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := testbed.Poll(ctx, 100*time.Millisecond, f); err != nil {
		t.Fatal(err)
	}
}
