//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

func TestJaegerAnswers(t *testing.T) {
	t.Parallel()
	p := StartPrometheus(t, testbed.PrometheusConfig{})
	j := StartJaeger(t, testbed.JaegerConfig{PrometheusURL: p.URL})
	points, err := j.Metrics(t.Context(), "calls", "nobody", time.Minute)
	if err != nil || points != 0 {
		t.Errorf("calls of a service that is not there: %d points, %v; want none", points, err)
	}
}

// Jaeger's Monitor tab draws calls, errors and latencies of a service from what
// Tallygate serves, without a span being made.
func testMonitor(t *testing.T, w *world) {
	j := StartJaeger(t, testbed.JaegerConfig{PrometheusURL: w.prometheus.URL})
	w.steady(t, 60, func() {
		for _, what := range []string{"calls", "errors", "latencies"} {
			for _, service := range []string{"frontend", "backend"} {
				Eventually(t, 30*time.Second, func(ctx context.Context) error {
					points, err := j.Metrics(ctx, what, service, time.Minute)
					if err == nil && points == 0 {
						err = fmt.Errorf("no %s of %s", what, service)
					}
					return err
				})
			}
		}
	})
	w.wantRequests(t)
}
