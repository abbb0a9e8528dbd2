//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// testGracefulStop ends Tallygate as soon as it has received everything. What
// was not scraped by then is held until it has been.
func testGracefulStop(t *testing.T, w *world) {
	before, err := readBooks(t.Context(), w.tallygate)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range testbed.Scenarios() {
		w.run(t, s, s)
	}
	want := before.received
	for _, s := range testbed.Scenarios() {
		want += 2 * float64(s.Want.Sum())
	}
	Eventually(t, 20*time.Second, func(ctx context.Context) error {
		b, err := readBooks(ctx, w.tallygate)
		if err == nil && b.received < want {
			err = fmt.Errorf("%v entries were received; want %v", b.received, want)
		}
		return err
	})
	if err := w.tallygate.Stop(45 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := w.tallygate.Exit(); err != nil {
		t.Errorf("tallygate ended with %v", err)
	}
	got, err := w.prometheus.Requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := w.want.Diff(got); diff != "" {
		t.Errorf("after a graceful stop Prometheus does not hold what the driver did:\n%s", diff)
	}
}

// A rolling restart: another replica takes the place of the first under traffic,
// twice. Not one entry is lost or counted twice, as Prometheus sees it.
//
//	sidecars ──ALS──▶ tallygate A (SIGTERM) … ▶ tallygate B
//	                        ▲       Prometheus       ▲
func TestRollingRestart(t *testing.T) {
	// The orchestrator takes the old replica from the endpoints before it ends it.
	t.Run("endpoints", func(t *testing.T) {
		testRollingRestart(t, testbed.TallygateConfig{}, func(m *testbed.Mesh, _, next *testbed.Tallygate) error {
			return m.PointLogsTo(next.ALS)
		})
	})
	// Both stay endpoints: that the old replica goes only its health check says.
	t.Run("health", func(t *testing.T) {
		delay := map[string]any{"drain": map[string]any{"delay": "2s"}}
		testRollingRestart(t, testbed.TallygateConfig{More: delay}, func(m *testbed.Mesh, old, next *testbed.Tallygate) error {
			return m.PointLogsTo(old.ALS, next.ALS)
		})
	})
}

func testRollingRestart(t *testing.T, cfg testbed.TallygateConfig, point func(m *testbed.Mesh, old, next *testbed.Tallygate) error) {
	w := startWorld(t, worldConfig{Tallygate: cfg})
	w.steady(t, 150, func() {
		for range 2 {
			old, next := w.tallygate, StartTallygate(t, cfg)
			if err := w.prometheus.Scrape(old.Metrics, next.Metrics); err != nil {
				t.Fatal(err)
			}
			if err := point(w.mesh, old, next); err != nil {
				t.Fatal(err)
			}
			w.awaitScrapes(t, 4)
			if err := old.Stop(45 * time.Second); err != nil {
				t.Error(err)
			}
			if err := old.Exit(); err != nil {
				t.Errorf("the old replica ended with %v", err)
			}
			w.tallygate = next
			w.awaitScrapes(t, 4)
		}
	})
	w.wantTotals(t)
	wantBalance(t, w.tallygate)
}

// Tallygate stands still for some seconds: traffic goes on, Envoy holds the
// entries back, and all of them arrive.
func TestStalled(t *testing.T) {
	w := startWorld(t, worldConfig{})
	w.steady(t, 150, func() {
		if err := w.tallygate.Pause(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			// It is Prometheus' clock that says how long: its scrapes fail meanwhile.
			w.awaitScrapes(t, 2)
		}
		if err := w.tallygate.Resume(); err != nil {
			t.Fatal(err)
		}
		w.awaitScrapes(t, 2)
	})
	w.wantRequests(t)
	if b := wantBalance(t, w.tallygate); b.dropped != 0 {
		t.Errorf("entries were dropped: %+v", b)
	}
}

// Sidecars are replaced under traffic: their streams end and new ones begin, the
// books balance, and what they report afterwards is counted as before.
func TestEnvoyRestarted(t *testing.T) {
	w := startWorld(t, worldConfig{})
	w.churn(t, func() {
		for _, s := range w.mesh.Sidecars() {
			if err := w.mesh.Restart(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	})
	if b := wantBalance(t, w.tallygate); b.dropped != 0 {
		t.Errorf("entries were dropped: %+v", b)
	}
	w.settle(t)
	w.warmUp(t)
	w.run(t, testbed.Scenarios()...)
	w.wantRequests(t)
	wantBalance(t, w.tallygate)
}

// churn sends requests, whatever becomes of them, while f runs.
func (w *world) churn(t *testing.T, f func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := w.driver.Get(ctx, testbed.HostFrontend, "/next/status/200"); err != nil {
					select {
					case <-time.After(10 * time.Millisecond):
					case <-ctx.Done():
					}
				}
			}
		})
	}
	f()
	stop()
	wg.Wait()
}

// A hard kill loses what Envoy had under way, and nothing else: no entry is
// counted twice, the next process counts on, and the bytes that a long TCP
// connection had before are its baseline.
func TestKilled(t *testing.T) {
	w := startWorld(t, worldConfig{})
	long, err := w.driver.DialTCP(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	wantBytes := func(want float64) {
		t.Helper()
		const sel = `istio_tcp_received_bytes_total{reporter="destination",destination_workload="backend-v1"}`
		Eventually(t, 15*time.Second, func(ctx context.Context) error {
			got, err := w.prometheus.Counter(ctx, sel)
			if err == nil && got != want {
				err = fmt.Errorf("%s is %v; want %v", sel, got, want)
			}
			return err
		})
	}
	if err := testbed.Exchange(long, 10_000); err != nil {
		t.Fatal(err)
	}
	w.run(t, testbed.Scenarios()...)
	w.wantRequests(t)
	wantBytes(10_000)

	if err := w.tallygate.Kill(); err != nil {
		t.Fatal(err)
	}
	next := StartTallygate(t, testbed.TallygateConfig{})
	if err := w.prometheus.Scrape(next.Metrics); err != nil {
		t.Fatal(err)
	}
	if err := w.mesh.PointLogsTo(next.ALS); err != nil {
		t.Fatal(err)
	}
	w.tallygate = next
	w.warmUp(t)
	Eventually(t, 15*time.Second, func(context.Context) error {
		if n := w.scrapeSum(t, "tallygate_als_tcp_baselines_total"); n != 4 { // two hops, two reporters
			return fmt.Errorf("%v baselines; want 4", n)
		}
		return nil
	})
	if err := testbed.Exchange(long, 5000); err != nil {
		t.Fatal(err)
	}
	w.run(t, testbed.Scenarios()...)
	w.wantRequests(t)
	wantBytes(15_000)
	wantBalance(t, w.tallygate)
}
