package fleet

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestExcess: it is the most over all intervals.
func TestExcess(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		at := make([]time.Duration, rng.IntN(40))
		for i := range at {
			at[i] = time.Duration(rng.Int64N(int64(time.Second)))
		}
		rate := float64(rng.IntN(60))
		got, want := excess(at, rate), 0.0
		for i := range at {
			for j := i; j < len(at); j++ {
				want = max(want, float64(j-i+1)-rate*(at[j]-at[i]).Seconds())
			}
		}
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%v at %v/s: %v; want %v", at, rate, got, want)
		}
	}
}

func TestSharesAreWhole(t *testing.T) {
	for _, c := range Cases() {
		for _, shares := range [][]float64{c.Replicas, c.Keys} {
			sum := 0.0
			for _, s := range shares {
				sum += s
			}
			if math.Abs(sum-1) > 1e-6 {
				t.Errorf("%s: %v", c.Name, shares)
			}
		}
	}
}
