package quota

import (
	"testing"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// TestOverdraw: what is told after it was used counts also beyond the limit,
// until the window ends.
func TestOverdraw(t *testing.T) {
	q := &mesh.Quota{Name: "tokens", Limit: 10, Per: time.Minute, Algorithm: mesh.FixedWindow, Overdraw: true}
	l := limitOf(q)
	var s state
	now := int64(100 * time.Minute)
	f := func(cost uint64, refund, over bool, remaining uint64) {
		t.Helper()
		q.Cost, q.Refund = cost, refund
		var r mesh.QuotaResult
		if s, r = apply(now, &l, s, q); r.Over != over || r.Remaining != remaining {
			t.Errorf("cost %d, refund %v: over %v, remaining %d; want %v, %d", cost, refund, r.Over, r.Remaining, over, remaining)
		}
	}
	f(10, false, false, 0)
	f(0, false, false, 0) // at the limit is not beyond it
	f(1, false, true, 0)
	f(0, false, true, 0)
	f(3, true, false, 2)
	f(2, false, false, 0)
	now += int64(time.Minute)
	f(500, false, true, 0)
	f(0, false, true, 0)
	f(1<<63, false, true, 0)
	f(1<<63, false, true, 0)
	now += int64(time.Minute)
	f(0, false, false, 10)
	f(5, true, false, 10) // nothing beyond the limit is given back

	q.Overdraw = false
	f(8, false, false, 2)
	f(5, false, true, 2) // a refusal takes nothing
	f(2, false, false, 0)
}

func TestOverdrawGCRA(t *testing.T) {
	q := &mesh.Quota{Name: "tokens", Limit: 10, Per: 10 * time.Second, Burst: 5, Cost: 7, Overdraw: true}
	l := limitOf(q)
	s, r := apply(0, &l, state{}, q)
	if !r.Over || r.Remaining != 0 {
		t.Errorf("got %+v; want a refusal that leaves nothing", r)
	}
	q.Cost = 1
	if _, r = apply(int64(999*time.Millisecond), &l, s, q); !r.Over {
		t.Error("a token has come too early")
	}
	if _, r = apply(int64(time.Second), &l, s, q); r.Over {
		t.Errorf("got %+v; want the token that has come", r)
	}
}
