//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
	"github.com/tallygate/tallygate/storage/cassandra"
)

// TestCassandraOutage: a node that is killed for 10 s, and one that stands still
// until statements time out. Every span that was taken is there in the end, once;
// what was not taken was refused to who pushed it.
func TestCassandraOutage(t *testing.T) {
	t.Parallel()
	c := StartCassandra(t)
	cfg := cassandraConfig(c)
	cfg.Query.Timeout = 2 * time.Second
	cfg.BackOffConfig.Enabled = true
	cfg.BackOffConfig.InitialInterval, cfg.BackOffConfig.MaxInterval, cfg.BackOffConfig.MaxElapsedTime = 200*time.Millisecond, time.Second, 0
	q := exporterhelper.NewDefaultQueueConfig()
	q.Sizer, q.QueueSize, q.NumConsumers = exporterhelper.RequestSizerTypeItems, 2000, 4
	cfg.QueueConfig = configoptional.Some(q)
	e := startExporter(t, cassandra.NewFactory(), cfg)
	r := cassandraReader(t, cfg)

	var mu sync.Mutex
	var taken []jaegermodel.TraceID
	refused := 0
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := byte(0); ctx.Err() == nil; n++ {
			td, id := tenSpans(n)
			err := e.ConsumeTraces(ctx, td)
			mu.Lock()
			if err == nil {
				taken = append(taken, id)
			} else {
				refused++
			}
			mu.Unlock()
			select {
			case <-time.After(20 * time.Millisecond): // the rate of the load
			case <-ctx.Done():
			}
		}
	})
	grows := func() {
		t.Helper()
		mu.Lock()
		before := len(taken)
		mu.Unlock()
		Eventually(t, time.Minute, func(ctx context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			if len(taken) < before+50 {
				return errors.New("too little was taken")
			}
			_, err := r.Trace(ctx, taken[before+5])
			return err
		})
	}
	grows()
	restartCtx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := c.Restart(restartCtx, func() { <-time.After(10 * time.Second) }); err != nil {
		t.Fatal(err)
	}
	grows()
	if err := c.Pause(); err != nil {
		t.Fatal(err)
	}
	<-time.After(5 * time.Second) // longer than a statement may take
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	grows()
	stop()
	wg.Wait()
	t.Logf("%d requests of 10 spans were taken, %d refused", len(taken), refused)
	Eventually(t, time.Minute, func(ctx context.Context) error {
		for n, id := range taken {
			trace, err := r.Trace(ctx, id)
			if err != nil {
				return fmt.Errorf("trace %d of %d: %w", n, len(taken), err)
			}
			if len(trace.Spans) < 10 {
				return fmt.Errorf("trace %d of %d has %d spans; want 10", n, len(taken), len(trace.Spans))
			}
			if len(trace.Spans) > 10 {
				t.Fatalf("trace %s has %d spans; want 10", id, len(trace.Spans))
			}
		}
		return nil
	})
	found, err := r.FindTraces(t.Context(), storage.Query{Service: "load", Start: time.Now().Add(-time.Hour), End: time.Now(), Limit: 100_000, Tags: map[string]string{"i": "3"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < len(taken) || len(found) > len(taken)+refused {
		t.Errorf("a search finds %d traces; want the %d that were taken", len(found), len(taken))
	}
}

func tenSpans(n byte) (ptrace.Traces, jaegermodel.TraceID) {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "load")
	ss := rs.ScopeSpans().AppendEmpty()
	now := time.Now()
	id := pcommon.TraceID{0: 1, 1: n}
	for i := range 8 {
		id[8+i] = byte(now.UnixNano() >> (8 * i))
	}
	for i := range 10 {
		s := ss.Spans().AppendEmpty()
		s.SetTraceID(id)
		s.SetSpanID(pcommon.SpanID{7: byte(i + 1)})
		s.SetName("op")
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(now))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(now.Add(time.Duration(i+1) * time.Millisecond)))
		s.Attributes().PutInt("i", int64(i))
		s.Attributes().PutStr("a", "b")
	}
	return td, jaegermodel.TraceID(id)
}
