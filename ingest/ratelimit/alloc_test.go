//go:build !race

package ratelimit

import (
	"context"
	"testing"
	"time"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/mesh"
)

// What an answer costs beside gRPC and the limits: the deadline, the answer and
// its frame. (Pools forget at random under the race detector.)
func TestAllocations(t *testing.T) {
	rule := &mesh.LimitRule{Path: "d.a", Requests: 10, Unit: mesh.UnitMinute, Multiplier: 1}
	finder := finderFunc(func(_ context.Context, r *mesh.LimitRequest) error {
		for i := range r.Matches {
			r.Matches[i] = mesh.LimitMatch{Rule: rule, Charge: true, Quota: mesh.Quota{Name: "d.a", Key: "k", Limit: 10, Per: time.Minute, Cost: 1}}
		}
		return nil
	})
	s, _ := newTestServer(t, finder, left(5), func(c *Config) { c.ResponseHeaders.Enabled = true })
	data := mustMarshal(t, requestOf("envoy", "database=users", "plan=gold,user=someone"))
	receive := func(f any) error { *f.(*ingest.Frame) = *ingest.NewFrame(data); return nil }
	n := testing.AllocsPerRun(200, func() {
		if _, err := s.serve(t.Context(), receive); err != nil {
			t.Fatal(err)
		}
	})
	if n > 3 {
		t.Errorf("%v allocations per request; want 3", n)
	}
}
