//go:build e2e

package e2e

import (
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
