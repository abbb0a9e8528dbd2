//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/storage/cassandra"
)

// BenchmarkCassandra writes spans of 12 tags, two of them unique, with all indexes
// to a node on this machine, from 8 senders with batches of 200.
func BenchmarkCassandra(b *testing.B) {
	c := StartCassandra(b)
	cfg := cassandraConfig(c)
	f := cassandra.NewFactory()
	e, err := f.CreateTraces(b.Context(), exportertest.NewNopSettings(f.Type()), cfg)
	if err != nil {
		b.Fatal(err)
	}
	if err := e.Start(b.Context(), componenttest.NewNopHost()); err != nil {
		b.Fatal(err)
	}
	defer e.Shutdown(context.Background())
	if err := e.ConsumeTraces(b.Context(), hopSpans(10)); err != nil {
		b.Fatal(err)
	}
	const batch = 200
	var mu sync.Mutex
	var took []time.Duration
	spans := 0
	for b.Loop() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					td := hopSpans(batch)
					began := time.Now()
					err := e.ConsumeTraces(b.Context(), td)
					mu.Lock()
					if err != nil {
						b.Error(err)
					}
					took, spans = append(took, time.Since(began)), spans+batch
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	slices.Sort(took)
	b.ReportMetric(float64(spans)/b.Elapsed().Seconds(), "spans/s")
	b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "p99-ms/batch")
}

// hopSpans are spans as access logs make them.
func hopSpans(n int) ptrace.Traces {
	td := ptrace.NewTraces()
	for i := range n {
		if i%8 == 0 {
			td.ResourceSpans().AppendEmpty().Resource().Attributes().PutStr("service.name", fmt.Sprintf("service-%d", rand.IntN(20)))
			td.ResourceSpans().At(td.ResourceSpans().Len() - 1).ScopeSpans().AppendEmpty()
		}
		s := td.ResourceSpans().At(td.ResourceSpans().Len() - 1).ScopeSpans().At(0).Spans().AppendEmpty()
		var id pcommon.TraceID
		for k := range id {
			id[k] = byte(rand.Uint32())
		}
		s.SetTraceID(id)
		s.SetSpanID(pcommon.SpanID(id[:8]))
		s.SetName("GET /api/products/*")
		s.SetKind(ptrace.SpanKindServer)
		now := time.Now()
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(now))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(now.Add(time.Duration(rand.IntN(100_000)) * time.Microsecond)))
		a := s.Attributes()
		a.PutStr("guid:x-request-id", fmt.Sprintf("%x", id))
		a.PutInt("http.response.body.size", int64(rand.IntN(1_000_000)))
		a.PutInt("http.response.status_code", 200)
		for _, key := range []string{"http.request.method", "server.address", "network.protocol.version", "response_flags", "user_agent", "zone", "version", "upstream_cluster"} {
			a.PutStr(key, "value of "+key)
		}
	}
	return td
}
