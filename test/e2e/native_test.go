//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// A Prometheus that asks for native histograms gets them, in protobuf, with the
// same counts.
func TestNativeHistograms(t *testing.T) {
	w := startWorld(t, worldConfig{
		Tallygate:  testbed.TallygateConfig{RED: map[string]any{"native_histograms": map[string]any{"enabled": true}}},
		Prometheus: testbed.PrometheusConfig{Features: "native-histograms"},
	})
	w.run(t, testbed.Scenarios()...)
	w.wantRequests(t)
	const by = " by (reporter, source_workload, destination_workload, response_code, response_flags, grpc_response_status)"
	groups := mustQuery(t, w, "sum"+by+"(istio_requests_total)")
	for _, family := range []string{"istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"} {
		expr := fmt.Sprintf("sum%s(istio_requests_total) == sum%s(histogram_count(%s))", by, by, family)
		if same := mustQuery(t, w, expr); len(same) != len(groups) {
			t.Errorf("%s counts the same requests in %d of %d groups", family, len(same), len(groups))
		}
	}
	// An upstream timeout takes 300 ms and little more.
	Eventually(t, 10*time.Second, func(ctx context.Context) error {
		q, err := w.prometheus.Query(ctx, `histogram_quantile(0.5, sum(istio_request_duration_milliseconds{reporter="source",response_flags="UT"}))`)
		if err == nil && (len(q) != 1 || q[0].Value() < 250 || q[0].Value() > 5000) {
			err = fmt.Errorf("the median of upstream timeouts is %v; want about 300 ms", q)
		}
		return err
	})
}
