package telemetry

import (
	"slices"
	"testing"
)

func TestHeadroom(t *testing.T) {
	var set []int
	h := &headroom{percent: 100, set: func(p int) { set = append(set, p) }}
	f := func(live uint64, want ...int) {
		t.Helper()
		set = nil
		h.adjust(live)
		if !slices.Equal(set, want) {
			t.Errorf("%d alive: set %v, want %v", live, set, want)
		}
	}
	f(0, 2000)
	f(1<<20, []int(nil)...)
	f(16<<20, 400)
	f(17<<20, []int(nil)...)
	f(32<<20, 200)
	f(60<<20, 106)
	f(64<<20, 100)
	f(1<<30, []int(nil)...)
}
