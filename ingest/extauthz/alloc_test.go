//go:build !race

package extauthz

import (
	"testing"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/mesh"
)

// What a check costs beside gRPC and the decider: the context, the answer and
// its frame. (Pools forget at random under the race detector.)
func TestCheckAllocations(t *testing.T) {
	s, _ := newTestServer(t, always(&mesh.Verdict{Allowed: true, Rule: "policy.allow:7", Headers: []mesh.Header{{Name: "x-user", Value: "alice"}}}), nil)
	data := mustMarshal(t, sampleRequest(1))
	receive := func(f any) error { *f.(*ingest.Frame) = *ingest.NewFrame(data); return nil }
	n := testing.AllocsPerRun(200, func() {
		if _, err := s.serve(t.Context(), receive); err != nil {
			t.Fatal(err)
		}
	})
	if n > 3 {
		t.Errorf("%v allocations per check; want 3", n)
	}
}

// TestQuotaAllocations: an allowed answer costs no more of them than one without
// quotas.
func TestQuotaAllocations(t *testing.T) {
	f := func(d mesh.Decider) float64 {
		s, _ := newTestServer(t, d, nil)
		data := mustMarshal(t, sampleRequest(1))
		receive := func(f any) error { *f.(*ingest.Frame) = *ingest.NewFrame(data); return nil }
		return testing.AllocsPerRun(200, func() {
			if _, err := s.serve(t.Context(), receive); err != nil {
				t.Fatal(err)
			}
		})
	}
	v := limited()
	if with, without := f(charged(v, false, within)), f(always(v)); with > without {
		t.Errorf("%v allocations with a quota, %v without", with, without)
	}
}
