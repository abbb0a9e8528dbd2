//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
	"github.com/tallygate/tallygate/storage/cassandra"
	"github.com/tallygate/tallygate/test/testbed"
)

// TestSpansThroughOutage: Cassandra is killed for 10 s while requests go on.
// Requests and checks do not notice, the books balance, and a search finds every
// span once.
//
//	two hops ─▶ Tallygate ─▶ Cassandra, killed and restarted ◀─ our reader
func TestSpansThroughOutage(t *testing.T) {
	t.Parallel()
	c := StartCassandra(t)
	w := startTraced(t, tracedConfig{
		tracer: testbed.TracerNone, spans: everything(), policy: allowAll,
		exporters: object{"cassandra": object{
			"connection": object{"servers": array{c.Addr}, "reconnect_interval": "500ms"}, "query": object{"timeout": "5s"},
			"retry_on_failure": object{"initial_interval": "200ms", "max_interval": "1s", "max_elapsed_time": "0s"},
		}},
	})
	written := func(least float64) {
		t.Helper()
		Eventually(t, time.Minute, func(ctx context.Context) error {
			a, err := w.account(ctx, "cassandra")
			if err == nil && a.exported < least {
				err = fmt.Errorf("%+v; want at least %v exported", a, least)
			}
			return err
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	asked := 0
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ; ctx.Err() == nil; <-tick.C {
			asked++
			if code, err := w.driver.Get(t.Context(), testbed.HostFrontend, "/next/status/200"); err != nil || code != 200 {
				t.Errorf("request %d: %d, %v", asked, code, err)
				return
			}
		}
	})
	written(200)
	restart, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var before, during spanAccount
	if err := c.Restart(restart, func() {
		before, _ = w.account(restart, "cassandra")
		<-time.After(10 * time.Second)
		during, _ = w.account(restart, "cassandra")
	}); err != nil {
		t.Fatal(err)
	}
	if during.sampled < before.sampled+200 || during.queued < 200 {
		t.Errorf("while Cassandra was away: from %+v to %+v; want spans to be made, and to wait", before, during)
	}
	written(during.sampled)
	stop()
	wg.Wait()
	a := w.settled(t, "cassandra", func(a spanAccount) error {
		if want := 4 * float64(asked+1); a.queued > 0 || a.dropped > 0 || a.sampled != want {
			return fmt.Errorf("%+v; want %v sampled, none dropped and none queued", a, want)
		}
		return nil
	})
	wantBalance(t, w.tallygate)

	cfg := cassandra.DefaultConfig()
	cfg.Connection.Servers = []string{c.Addr}
	found, err := cassandraReader(t, cfg).FindTraces(t.Context(), storage.Query{
		Service: "frontend", Tags: map[string]string{"http.response.status_code": "200"},
		Start: time.Now().Add(-time.Hour), End: time.Now(), Limit: 100_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	type key struct {
		trace jaegermodel.TraceID
		span  jaegermodel.SpanID
		kind  string
	}
	seen := map[key]int{}
	for _, trace := range found {
		for _, s := range trace.Spans {
			seen[key{s.TraceID, s.SpanID, s.Kind()}]++
		}
	}
	if len(found) != asked+1 || float64(len(seen)) != a.exported {
		t.Errorf("a search finds %d traces with %d spans; want %d with %v", len(found), len(seen), asked+1, a.exported)
	}
	for k, n := range seen {
		if n > 1 {
			t.Errorf("a search finds %+v %d times", k, n)
		}
	}
}
