//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallygate/tallygate/test/testbed"
)

// TestMesh is one run of the picture in world_test.go; every part adds to it,
// and at the end of each the driver's counts equal what Prometheus holds.
func TestMesh(t *testing.T) {
	w := startWorld(t, worldConfig{
		Tallygate: testbed.TallygateConfig{
			RED:  map[string]any{"span_metrics": true},
			More: map[string]any{"labels": []any{map[string]any{"name": "tenant"}}},
		},
		Prometheus: testbed.PrometheusConfig{Features: "exemplar-storage"},
	})
	t.Run("requests", func(t *testing.T) { testRequests(t, w) })
	t.Run("histograms", func(t *testing.T) { testHistograms(t, w) })
	t.Run("exemplars", func(t *testing.T) { testExemplars(t, w) })
	t.Run("messages", func(t *testing.T) { testMessages(t, w) })
	t.Run("tcp", func(t *testing.T) { testTCP(t, w) })
	t.Run("labels", func(t *testing.T) { testLabels(t, w) })
	t.Run("doctor", func(t *testing.T) { testDoctor(t, w) })
	t.Run("boards", func(t *testing.T) { testBoards(t, w) })
	t.Run("Jaeger's Monitor tab", func(t *testing.T) { testMonitor(t, w) })
	t.Run("books", func(t *testing.T) {
		w.wantRequests(t)
		if b := wantBalance(t, w.tallygate); b.dropped != 0 {
			t.Errorf("entries were dropped: %+v", b)
		}
	})
	t.Run("graceful stop", func(t *testing.T) { testGracefulStop(t, w) })
}

// Every kind of request many times, many at once: counted code by code and edge
// by edge, on both reporters.
func testRequests(t *testing.T, w *world) {
	const rounds, atOnce = 15, 8
	defer watchBooks(t, w.tallygate)()
	scenarios := testbed.Scenarios()
	var g errgroup.Group
	g.SetLimit(atOnce)
	for range rounds {
		for _, s := range scenarios {
			g.Go(func() error { return s.Run(t.Context(), w.driver, testbed.Tally{}) })
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		w.want.Add(s.Want, rounds)
	}
	w.wantRequests(t)
}

// The histograms count the same requests, under the same labels, and le is
// spelt as Envoy spells it.
func testHistograms(t *testing.T, w *world) {
	w.wantRequests(t)
	by := " by (reporter, source_workload, destination_workload, response_code, response_flags)"
	requests := mustQuery(t, w, "sum"+by+"(istio_requests_total)")
	if len(requests) < 20 {
		t.Errorf("%d groups of requests; want at least 20", len(requests))
	}
	for _, family := range []string{"istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"} {
		for _, series := range []string{family + "_count", family + `_bucket{le="+Inf"}`} {
			expr := fmt.Sprintf("sum%s(istio_requests_total) == sum%s(%s)", by, by, series)
			if got := mustQuery(t, w, expr); len(got) != len(requests) {
				t.Errorf("%s equals istio_requests_total in %d of %d groups", series, len(got), len(requests))
			}
		}
	}
	for _, le := range []string{"0.5", "250", "3600000"} {
		expr := fmt.Sprintf(`istio_request_duration_milliseconds_bucket{le=%q}`, le)
		if len(mustQuery(t, w, expr)) == 0 {
			t.Errorf("nothing in %s", expr)
		}
	}
	if late := mustQuery(t, w, "min_over_time(istio_requests_total[1h]) > 0"); len(late) > 0 {
		t.Errorf("%d series did not begin at 0, which makes no rate: %v", len(late), late[0])
	}
	// A timeout of 300 ms lies between the buckets 250 and 500.
	slow := `{reporter="source", response_flags="UT", le=%q}`
	if n := one(t, w, "sum(istio_request_duration_milliseconds_bucket"+fmt.Sprintf(slow, "250")+")"); n != 0 {
		t.Errorf("%v upstream timeouts took less than 250 ms", n)
	}
	if n := one(t, w, "sum(istio_request_duration_milliseconds_bucket"+fmt.Sprintf(slow, "10000")+")"); n == 0 {
		t.Error("no upstream timeout took less than 10 s")
	}
	large := one(t, w, `sum(istio_response_bytes_sum{source_workload="client-v1", response_code="200", request_protocol="http", reporter="destination"})`)
	if large < 15*100_000 {
		t.Errorf("the answers have %v bytes; 15 of 100,000 were sent", large)
	}
	posted := one(t, w, `sum(istio_request_bytes_sum{response_code="201", reporter="source"})`)
	if posted < 15*5000 || posted > 15*6000 {
		t.Errorf("the requests of 201 have %v bytes; 15 of 5,000 and their headers were sent", posted)
	}
	if n := one(t, w, `sum(istio_requests_total{tenant="gold"})`); n != one(t, w, `sum(istio_requests_total{response_code="201"})`) {
		t.Errorf("%v requests of the tenant gold", n)
	}
}

// Requests leave their trace ids as exemplars, in the bucket of their duration.
func testExemplars(t *testing.T, w *world) {
	Eventually(t, 20*time.Second, func(ctx context.Context) error {
		exemplars, err := w.prometheus.Exemplars(ctx, `istio_request_duration_milliseconds_bucket{reporter="source",response_flags="UT"}`)
		if err != nil {
			return err
		}
		if len(exemplars) == 0 {
			w.run(t, scenario(t, "timeout of the upstream"))
			return errors.New("no exemplars")
		}
		for _, e := range exemplars {
			if len(e.Labels["trace_id"]) != 32 || e.Value < 250 || e.Series["le"] == "250" {
				return fmt.Errorf("exemplar %+v; want a trace id and a duration in its bucket", e)
			}
		}
		return nil
	})
}

func testMessages(t *testing.T, w *world) {
	sums := func() (out [4]float64) {
		for i, family := range []string{"istio_request_messages_total", "istio_response_messages_total"} {
			for j, reporter := range []string{"source", "destination"} {
				n, err := w.prometheus.Counter(t.Context(), fmt.Sprintf(`%s{reporter=%q,source_workload="client-v1",destination_workload="backend-v1"}`, family, reporter))
				if err != nil {
					t.Fatal(err)
				}
				out[2*i+j] = n
			}
		}
		return out
	}
	before := sums()
	const calls = 10
	for range calls {
		w.run(t, scenario(t, "gRPC stream"), scenario(t, "gRPC error in trailers"), scenario(t, "gRPC server error, trailers-only"))
	}
	w.wantRequests(t)
	after := sums()
	want := [4]float64{3 * calls, 3 * calls, 8 * calls, 8 * calls} // one message asks each; 5, 3 and 0 answer
	for i := range want {
		if got := after[i] - before[i]; got != want[i] {
			t.Errorf("message counters rose by %v; want %v", [4]float64{after[0] - before[0], after[1] - before[1], after[2] - before[2], after[3] - before[3]}, want)
			break
		}
	}
}

// TCP: bytes and connections of both hops on both reporters, with a long
// connection that is counted while it is open.
func testTCP(t *testing.T, w *world) {
	edges := [][2]string{{"client-v1", "frontend-v1"}, {"frontend-v1", "backend-v1"}}
	check := func(ctx context.Context, sent, opened, closed float64) error {
		for _, edge := range edges {
			for _, reporter := range []string{"source", "destination"} {
				for family, want := range map[string]float64{
					"istio_tcp_sent_bytes_total": sent, "istio_tcp_received_bytes_total": sent,
					"istio_tcp_connections_opened_total": opened, "istio_tcp_connections_closed_total": closed,
				} {
					sel := fmt.Sprintf(`%s{reporter=%q,source_workload=%q,destination_workload=%q,request_protocol="tcp"}`, family, reporter, edge[0], edge[1])
					if got, err := w.prometheus.Counter(ctx, sel); err != nil || got != want {
						return fmt.Errorf("%s is %v, %w; want %v", sel, got, err, want)
					}
				}
			}
		}
		return nil
	}
	const short, size = 25, 40_000
	for i := range short {
		if err := w.driver.Echo(t.Context(), size+i); err != nil {
			t.Fatal(err)
		}
	}
	bytes := float64(short*size + short*(short-1)/2)
	Eventually(t, 20*time.Second, func(ctx context.Context) error { return check(ctx, bytes, short, short) })
	for _, family := range []string{"istio_tcp_connections_opened_total", "istio_tcp_connections_closed_total", "istio_tcp_sent_bytes_total"} {
		if s := mustQuery(t, w, family+`{reporter="destination",connection_security_policy!="mutual_tls"} > 0`); len(s) > 0 {
			t.Errorf("connections by mTLS count as if without: %v", s)
		}
	}

	long, err := w.driver.DialTCP(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	for range 3 {
		if err := testbed.Exchange(long, 1000); err != nil {
			t.Fatal(err)
		}
		bytes += 1000
		Eventually(t, 20*time.Second, func(ctx context.Context) error { return check(ctx, bytes, short+1, short) })
	}
	if err := long.Close(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, 20*time.Second, func(ctx context.Context) error { return check(ctx, bytes, short+1, short+1) })
}

func mustQuery(t *testing.T, w *world, expr string) []testbed.Series {
	t.Helper()
	s, err := w.prometheus.Query(t.Context(), expr)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// one returns the value of a query with one result, 0 if it has none.
func one(t *testing.T, w *world, expr string) float64 {
	t.Helper()
	s := mustQuery(t, w, expr)
	if len(s) > 1 {
		t.Fatalf("%d results of %s", len(s), expr)
	}
	if len(s) == 0 {
		return 0
	}
	return s[0].Value()
}
