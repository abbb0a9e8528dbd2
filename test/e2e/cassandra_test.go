//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/storage/cassandra"
	"github.com/tallygate/tallygate/storage/storagetest"
	"github.com/tallygate/tallygate/test/testbed"
)

// cassandraConfig is that of a keyspace on a node; what is pushed is written, or
// refused, at once.
func cassandraConfig(c *testbed.Cassandra) *cassandra.Config {
	cfg := cassandra.DefaultConfig()
	cfg.Connection.Servers = []string{c.Addr}
	cfg.Connection.ReconnectInterval = 500 * time.Millisecond
	cfg.Query.Timeout = 10 * time.Second
	cfg.Dependencies.Interval = time.Second
	cfg.QueueConfig = configoptional.None[exporterhelper.QueueBatchConfig]()
	cfg.BackOffConfig.Enabled = false
	return cfg
}

// startExporter runs a Collector exporter until the test ends.
func startExporter(t *testing.T, f exporter.Factory, cfg any) exporter.Traces {
	t.Helper()
	e, err := f.CreateTraces(t.Context(), exportertest.NewNopSettings(f.Type()), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := e.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return e
}

func cassandraReader(t *testing.T, cfg *cassandra.Config) *cassandra.Reader {
	t.Helper()
	r, err := cassandra.NewReader(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// What Cassandra's schema v004 does not let one find.
var cassandraCannot = []storagetest.Cannot{
	storagetest.SameSpan, storagetest.LongTags, storagetest.SameTime, storagetest.Dependencies,
}

// TestCassandraBattery: the battery on what the exporter writes to a real
// Cassandra, read by us and by a real Jaeger.
//
//	battery ─▶ exporter ─▶ Cassandra ─┬▶ our reader
//	                                  └▶ Jaeger ─▶ its query API
func TestCassandraBattery(t *testing.T) {
	t.Parallel()
	c := StartCassandra(t)
	cfg := cassandraConfig(c)
	e := startExporter(t, cassandra.NewFactory(), cfg)
	write := func(ctx context.Context, td ptrace.Traces) error { return e.ConsumeTraces(ctx, td) }
	if err := write(t.Context(), ptrace.NewTraces()); err != nil { // the schema is there when it returns
		t.Fatal(err)
	}
	t.Run("ours", func(t *testing.T) {
		storagetest.Run(t, storagetest.Backend{Write: write, Reader: cassandraReader(t, cfg), Cannot: cassandraCannot, ManySpans: 2000})
	})
	t.Run("single statements", func(t *testing.T) {
		cfg := cassandraConfig(c)
		cfg.Index.BatchRows = 1
		e := startExporter(t, cassandra.NewFactory(), cfg)
		storagetest.Run(t, storagetest.Backend{Write: e.ConsumeTraces, Reader: cassandraReader(t, cfg), Cannot: cassandraCannot, ManySpans: 1000})
	})
	t.Run("shared statements", func(t *testing.T) {
		cfg := cassandraConfig(c)
		cfg.Index.BatchPartitions = 10
		e := startExporter(t, cassandra.NewFactory(), cfg)
		storagetest.Run(t, storagetest.Backend{Write: e.ConsumeTraces, Reader: cassandraReader(t, cfg), Cannot: cassandraCannot, ManySpans: 2000})
	})
	j := StartJaeger(t, testbed.JaegerConfig{Cassandra: c.Addr, Keyspace: cfg.Schema.Keyspace})
	t.Run("Jaeger", func(t *testing.T) {
		cannot := append([]storagetest.Cannot{
			storagetest.BoundsMatch, storagetest.DurationWithTags, storagetest.DurationInTime,
			storagetest.NewestFirst, storagetest.ExactLimit,
		}, cassandraCannot...)
		storagetest.Run(t, storagetest.Backend{Write: write, Reader: QueryAPI{j.URL}, Cannot: cannot, ManySpans: 2000})
	})
}
