//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// world is the whole picture, with what the driver did so far.
//
//	driver ─▶ [client] ─mTLS─▶ [frontend] ─▶ app ─▶ [frontend] ─mTLS─▶ [backend] ─▶ app
//	             │ALS               │ALS                                 │ALS
//	             └──────────────▶ tallygate ◀───────────────────────────┘
//	                                  ▲ scrape, 1s
//	                              Prometheus
type world struct {
	mesh       *testbed.Mesh
	driver     *testbed.Driver
	tallygate  *testbed.Tallygate
	prometheus *testbed.Prometheus

	want testbed.Tally // what Prometheus must hold
}

type worldConfig struct {
	CA         *testbed.CA // a new one if nil
	Mesh       testbed.MeshConfig
	Tallygate  testbed.TallygateConfig
	Prometheus testbed.PrometheusConfig
	Admin      bool // scrape the admin endpoint, too
}

// startWorld returns a world in which every workload is known: identity is
// learned from the first messages of the sidecars.
func startWorld(t *testing.T, cfg worldConfig) *world {
	t.Helper()
	w := &world{want: testbed.Tally{}}
	w.tallygate = StartTallygate(t, cfg.Tallygate)
	cfg.Prometheus.Targets = []string{w.tallygate.Metrics}
	if cfg.Admin {
		cfg.Prometheus.Admin = []string{w.tallygate.Admin}
	}
	w.prometheus = StartPrometheus(t, cfg.Prometheus)
	cfg.Mesh.Logs = []string{w.tallygate.ALS}
	cfg.Mesh.Flush = 300 * time.Millisecond
	Eventually(t, 30*time.Second, func(ctx context.Context) error { // it takes its time to begin
		up, err := w.prometheus.Query(ctx, "up == 1")
		if err == nil && len(up) == 0 {
			err = errors.New("Prometheus has not scraped yet")
		}
		return err
	})
	if cfg.CA == nil {
		cfg.CA = NewCA(t)
	}
	w.mesh, w.driver = StartMesh(t, cfg.CA, cfg.Mesh)
	w.warmUp(t)
	return w
}

// warmUp drives requests over both hops until both sides of each report who is
// at the other end, and takes what Prometheus then holds as given. What was
// lost before it began, an access log on its way to a process that was killed,
// is not missed.
func (w *world) warmUp(t *testing.T) {
	t.Helper()
	ok := scenario(t, "ok over two hops")
	before := maps.Clone(w.want)
	Eventually(t, 40*time.Second, func(ctx context.Context) error {
		for range 2 {
			if err := ok.Run(ctx, w.driver, testbed.Tally{}); err != nil {
				return testbed.Permanent(err)
			}
		}
		got, err := w.prometheus.Requests(ctx)
		for k := range ok.Want {
			if err == nil && got[k] <= before[k] {
				err = fmt.Errorf("nobody reports %s; there is\n%s", k, testbed.Tally{}.Diff(got))
			}
		}
		return err
	})
	w.settle(t)
}

// settle waits until nothing more comes, and takes what Prometheus holds as
// given.
func (w *world) settle(t *testing.T) {
	t.Helper()
	Eventually(t, 30*time.Second, func(ctx context.Context) error {
		w.awaitScrapes(t, 2)
		got, err := w.prometheus.Requests(ctx)
		if err == nil && w.want.Diff(got) != "" {
			err = fmt.Errorf("it has not settled: %s", w.want.Diff(got))
		}
		w.want = got
		return err
	})
}

// run does scenarios and notes what they must count.
func (w *world) run(t *testing.T, scenarios ...testbed.Scenario) {
	t.Helper()
	for _, s := range scenarios {
		if err := s.Run(t.Context(), w.driver, w.want); err != nil {
			t.Fatal(err)
		}
	}
}

// steady drives a mix of requests while f runs.
func (w *world) steady(t *testing.T, perSecond int, f func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		tally, err := w.driver.Steady(ctx, perSecond)
		w.want.Add(tally, 1)
		done <- err
	}()
	f()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// wantRequests waits until Prometheus holds exactly what the driver did, and
// checks that it stays so over more scrapes.
func (w *world) wantRequests(t *testing.T) {
	t.Helper()
	w.wantSame(t, func(t testbed.Tally) testbed.Tally { return t })
}

// wantTotals is wantRequests without the workloads: a replica that has just
// started does not know them yet.
func (w *world) wantTotals(t *testing.T) {
	t.Helper()
	w.wantSame(t, withoutWorkloads)
}

func withoutWorkloads(t testbed.Tally) testbed.Tally {
	out := testbed.Tally{}
	for k, n := range t {
		k.Source, k.Destination = "", ""
		out[k] += n
	}
	return out
}

func (w *world) wantSame(t *testing.T, view func(testbed.Tally) testbed.Tally) {
	t.Helper()
	same := func(ctx context.Context) error {
		got, err := w.prometheus.Requests(ctx)
		if err != nil {
			return err
		}
		if diff := view(w.want).Diff(view(got)); diff != "" {
			return fmt.Errorf("Prometheus does not hold what the driver did:\n%s", diff)
		}
		return nil
	}
	Eventually(t, 30*time.Second, same)
	w.awaitScrapes(t, 2)
	if err := same(t.Context()); err != nil {
		t.Fatalf("a little later: %v", err)
	}
}

// awaitScrapes waits for n more scrapes of whatever is scraped now.
func (w *world) awaitScrapes(t *testing.T, n int) {
	t.Helper()
	scrapes := func(ctx context.Context) (float64, error) {
		series, err := w.prometheus.Query(ctx, "sum(count_over_time(up[1h]))")
		if err != nil || len(series) == 0 {
			return 0, err
		}
		return series[0].Value(), nil
	}
	before, err := scrapes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, 30*time.Second, func(ctx context.Context) error {
		now, err := scrapes(ctx)
		if err == nil && now < before+float64(n) {
			err = fmt.Errorf("%v scrapes; want %d more than %v", now, n, before)
		}
		return err
	})
}

// scenario returns the scenario of a name.
func scenario(t *testing.T, name string) testbed.Scenario {
	t.Helper()
	for _, s := range testbed.Scenarios() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no scenario %q", name)
	return testbed.Scenario{}
}
