package quota

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

func windowLimit(n uint64, per time.Duration) *limit {
	l := limitOf(&mesh.Quota{Limit: n, Per: per, Algorithm: mesh.FixedWindow})
	return &l
}

// t0 is a multiple of 10 s, not of a minute: 1,700,000,000 = 28,333,333 × 60 + 20.
func TestWindow(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	run(t, "one by one", windowLimit(2, 10*s),
		step{0, 1, false, 1, 10 * s, 0},
		step{s, 1, false, 0, 9 * s, 0},
		step{9999 * ms, 1, true, 0, ms, ms},
		step{10 * s, 1, false, 1, 10 * s, 0})
	run(t, "windows begin at multiples of their length", windowLimit(5, time.Minute),
		step{0, 5, false, 0, 40 * s, 0},
		step{39 * s, 1, true, 0, s, s},
		step{40 * s, 5, false, 0, time.Minute, 0})
	run(t, "a refusal takes nothing", windowLimit(5, s),
		step{0, 3, false, 2, s, 0},
		step{0, 3, true, 2, s, s},
		step{0, 2, false, 0, s, 0})
	run(t, "more than there ever is", windowLimit(5, s),
		step{0, 6, true, 5, s, mesh.Never},
		step{0, math.MaxUint64, true, 5, s, mesh.Never})
	run(t, "nothing is asked for", windowLimit(1, s),
		step{0, 1, false, 0, s, 0},
		step{0, 0, false, 0, s, 0})
	run(t, "the clock steps back within the window", windowLimit(2, 10*s),
		step{5 * s, 2, false, 0, 5 * s, 0},
		step{s, 1, true, 0, 9 * s, 9 * s})
	run(t, "the clock steps back into the window before: what was taken counts there", windowLimit(2, 10*s),
		step{0, 2, false, 0, 10 * s, 0},
		step{-s, 1, true, 0, s, s})
	run(t, "the clock steps back far: what was taken counts now", windowLimit(2, 10*s),
		step{0, 2, false, 0, 10 * s, 0},
		step{-time.Hour, 1, true, 0, 10 * s, 10 * s},
		step{-time.Hour + 10*s, 1, false, 1, 10 * s, 0})
	run(t, "a year", windowLimit(1, 365*24*time.Hour),
		step{0, 1, false, 0, 365*24*time.Hour - time.Duration(t0%int64(365*24*time.Hour)), 0})
}

// TestWindowCounts: each window admits what a map from window to count does.
func TestWindowCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		l := windowLimit(1+r.Uint64N(20), time.Duration(1+r.Int64N(5000))*time.Millisecond)
		counts := map[int64]uint64{}
		now, s := t0, state{}
		for range 500 {
			now += r.Int64N(int64(l.per) / 8)
			cost := r.Uint64N(5)
			w := now / int64(l.per)
			want := counts[w]+cost <= l.n
			if want {
				counts[w] += cost
			}
			var got mesh.QuotaResult
			if s, got = spend(now, l, s, cost); got.Over == want || got.Remaining != l.n-counts[w] {
				t.Fatalf("%+v: %+v; want passed %v, %d left", *l, got, want, l.n-counts[w])
			}
			if end := time.Duration((w+1)*int64(l.per) - now); got.Reset != end {
				t.Fatalf("%+v: the window ends in %s; want %s", *l, got.Reset, end)
			}
		}
	}
}

// TestWindowLimitShrinks: what was taken under a higher limit counts.
func TestWindowLimitShrinks(t *testing.T) {
	s, _ := spend(t0, windowLimit(10, time.Second), state{}, 8)
	if _, r := spend(t0, windowLimit(5, time.Second), s, 0); !r.Over || r.Remaining != 0 {
		t.Errorf("got %+v; want it over", r)
	}
}
