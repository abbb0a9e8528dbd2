//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// Nobody scrapes: Tallygate pushes to a real Prometheus by remote write, which
// holds what the driver did, the last push of a graceful stop included.
//
//	sidecars ──ALS──▶ tallygate ──remote write──▶ Prometheus
func TestRemoteWrite(t *testing.T) {
	p := StartPrometheus(t, testbed.PrometheusConfig{Receive: true})
	tg := StartTallygate(t, testbed.TallygateConfig{More: map[string]any{
		"exporters": map[string]any{"prometheusremotewrite": map[string]any{"endpoint": p.URL + "/api/v1/write"}},
		"push":      map[string]any{"interval": "1s", "exporters": []string{"prometheusremotewrite"}},
		"drain":     map[string]any{"final_scrape": "0s"},
	}})
	m, d := StartMesh(t, NewCA(t), testbed.MeshConfig{Logs: []string{tg.ALS}, Flush: 300 * time.Millisecond})
	want := testbed.Tally{}
	drive := func() {
		t.Helper()
		for _, s := range testbed.Scenarios() {
			if err := s.Run(t.Context(), d, want); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The first requests are reported before everybody is known.
	same := func(ctx context.Context) error {
		got, err := p.Requests(ctx)
		if err != nil {
			return err
		}
		if diff := withoutWorkloads(want).Diff(withoutWorkloads(got)); diff != "" {
			return errors.New("Prometheus was not pushed what the driver did:\n" + diff)
		}
		return nil
	}
	drive()
	Eventually(t, 30*time.Second, same)

	drive()
	Eventually(t, 20*time.Second, func(ctx context.Context) error {
		b, err := readBooks(ctx, tg)
		if err == nil && int(b.received) < want.Sum() {
			err = fmt.Errorf("%v entries were received; want %d", b.received, want.Sum())
		}
		return err
	})
	if err := tg.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := same(t.Context()); err != nil {
		t.Errorf("after a graceful stop: %v", err)
	}
	for _, s := range m.Sidecars() {
		if n, err := p.Query(t.Context(), fmt.Sprintf(`istio_request_duration_milliseconds_bucket{source_workload="%s-v1",le="+Inf"}`, s.Workload)); err != nil || s != m.Backend && len(n) == 0 {
			t.Errorf("no histogram of %s was pushed: %v", s.Workload, err)
		}
	}
}
