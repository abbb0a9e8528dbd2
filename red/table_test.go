package red

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	"unique"

	"github.com/tallygate/tallygate/mesh"
)

// testConfig is the default configuration without the delay of first values.
func testConfig() Config {
	cfg := DefaultConfig()
	cfg.ZeroFor = 0
	return cfg
}

func newTable(t testing.TB, cfg Config, labels ...mesh.CustomLabel) *Table {
	t.Helper()
	table, err := New(cfg, labels)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return table
}

func peer(name string) mesh.Peer {
	return unique.Make(mesh.Workload{
		Name:              name,
		Namespace:         "shop",
		CanonicalService:  name,
		CanonicalRevision: "v1",
		Principal:         "spiffe://cluster.local/ns/shop/sa/" + name,
		App:               name,
		Version:           "v1",
		Cluster:           "Kubernetes",
	})
}

func svc(name string) mesh.Service {
	return unique.Make(mesh.DestinationService{Host: name + ".shop.svc.cluster.local", Name: name, Namespace: "shop"})
}

func httpEntry(source, destination string) mesh.Entry {
	return mesh.Entry{
		Source:        peer(source),
		Destination:   peer(destination),
		Service:       svc(destination),
		Reporter:      mesh.ReporterDestination,
		Security:      mesh.SecurityMutualTLS,
		GRPCStatus:    mesh.NoGRPCStatus,
		Code:          200,
		Duration:      7 * time.Millisecond,
		RequestBytes:  300,
		ResponseBytes: 1200,
		Method:        "GET",
	}
}

func consume(t testing.TB, table *Table, entries ...mesh.Entry) {
	t.Helper()
	if err := table.Consume(context.Background(), &mesh.Batch{Entries: entries, Received: time.Now()}); err != nil {
		t.Fatalf("Consume: %v", err)
	}
}

func snapshot(table *Table) *Snapshot {
	var s Snapshot
	table.Snapshot(&s)
	return &s
}

// tuples returns entries of n label sets.
func tuples(n int) []mesh.Entry {
	entries := make([]mesh.Entry, n)
	for i := range entries {
		e := httpEntry(fmt.Sprintf("client-%d", i%100), fmt.Sprintf("server-%d", i/100))
		e.Duration = time.Duration(rand.ExpFloat64() * float64(20*time.Millisecond))
		e.RequestBytes = uint64(rand.ExpFloat64() * 800)
		e.ResponseBytes = uint64(rand.ExpFloat64() * 9000)
		entries[i] = e
	}
	return entries
}

func TestConsume(t *testing.T) {
	table := newTable(t, testConfig())
	e := httpEntry("client", "server")
	consume(t, table, e, e)
	s := snapshot(table)
	if s.Stats.Counted != 2 {
		t.Errorf("counted %d; want 2", s.Stats.Counted)
	}
	v := &s.Views[0]
	if len(v.Rows) != 1 || v.Name != "http" || len(v.Families) != 4 {
		t.Fatalf("view %s has %d rows and %d families; want http, 1, 4", v.Name, len(v.Rows), len(v.Families))
	}
	if got := v.Count(0, &v.Families[0]); got != 2 {
		t.Errorf("%s = %d; want 2", v.Families[0].Name, got)
	}
	if got := v.Sum(0, &v.Families[1]); got != 14 {
		t.Errorf("%s_sum = %v; want 14", v.Families[1].Name, got)
	}
	if got := v.Buckets(0, &v.Families[1])[3]; got != 2 {
		t.Errorf("the bucket le=10 of %s has %d; want 2", v.Families[1].Name, got)
	}
	values := v.Rows[0].Series.AppendValues(nil)
	for i, name := range v.Labels {
		t.Logf("%s=%q", name, values[i])
	}
	if len(values) != 25 {
		t.Errorf("there are %d labels; want 25", len(values))
	}
}

func TestConsumeDoesNotAllocate(t *testing.T) {
	cfg := testConfig()
	cfg.SpanMetrics = true
	cfg.NativeHistograms.Enabled = true
	cfg.ExcludeLabels = []string{"source_principal"}
	table := newTable(t, cfg)
	b := &mesh.Batch{Entries: tuples(64)}
	for i := range b.Entries {
		e := &b.Entries[i]
		e.TraceID, e.TraceSampled = "0123456789abcdef0123456789abcdef", true
		e.HasMessages = i%2 == 0
		if i%8 == 0 {
			e.Protocol = mesh.ProtocolTCP
		}
	}
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() { _ = table.Consume(ctx, b) }); n != 0 {
		t.Errorf("%v allocations per batch; want 0", n)
	}
}

func BenchmarkConsume(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("tuples=%d", n), func(b *testing.B) { benchmarkConsume(b, n, testConfig()) })
	}
	cfg := testConfig()
	cfg.NativeHistograms.Enabled = true
	b.Run("tuples=10000/native", func(b *testing.B) { benchmarkConsume(b, 10_000, cfg) })
	cfg = testConfig()
	cfg.ExcludeLabels = []string{"source_principal", "destination_principal"}
	b.Run("tuples=10000/excluded", func(b *testing.B) { benchmarkConsume(b, 10_000, cfg) })
}

func benchmarkConsume(b *testing.B, n int, cfg Config) {
	table := newTable(b, cfg)
	entries := tuples(n)
	rand.Shuffle(n, func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	const batch = 50
	for len(entries) < batch || len(entries)%batch != 0 {
		entries = append(entries, entries[:min(len(entries), batch-len(entries)%batch)]...)
	}
	ctx := context.Background()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		at := rand.IntN(len(entries)/batch) * batch
		for i := batch; pb.Next(); i++ {
			if i < batch {
				continue
			}
			i = 0
			_ = table.Consume(ctx, &mesh.Batch{Entries: entries[at : at+batch : at+batch]})
			at = (at + batch) % len(entries)
		}
	})
}
