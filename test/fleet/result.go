package fleet

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Result is what a fleet did.
type Result struct {
	Asked, Admitted int64
	// Share of limit × time that was admitted, the bursts not counted.
	Share float64
	// Excess is the most that one key was admitted beyond rate × T, over any
	// interval T; Promised is what may be: burst + rate × L, the bursts of lost
	// states, and what the clients cannot tell.
	Excess, Promised float64
}

// Kept reports whether the promise was kept.
func (r *Result) Kept() bool { return r.Excess <= r.Promised }

// A client sees an answer a little after it was given: what is close together
// may have been further apart.
const slack = 150 * time.Millisecond

// leaseAge is the default of quota.redis.lease_max_age.
const leaseAge = 100 * time.Millisecond

// admissions are when each key was admitted.
type admissions struct {
	asked atomic.Int64
	mu    sync.Mutex
	at    [][]time.Duration // by key
}

func (a *admissions) add(key int, at time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at[key] = append(a.at[key], at)
}

func (a *admissions) result(c *Case, d time.Duration) Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := Result{Asked: a.asked.Load(), Promised: float64(Limit*(1+c.Losses)) + Limit*(leaseAge+slack).Seconds()}
	for _, at := range a.at {
		r.Admitted += int64(len(at))
		r.Excess = max(r.Excess, excess(at, Limit))
	}
	keys := float64(len(a.at))
	r.Share = (float64(r.Admitted) - Limit*keys*float64(1+c.Losses)) / (Limit * keys * d.Seconds())
	return r
}

// excess returns the most that at has beyond rate × T in any interval T.
func excess(at []time.Duration, rate float64) float64 {
	slices.Sort(at)
	// n - rate × t of the i-th and the j-th differ by what came between beyond
	// the rate.
	most, least := 0.0, 0.0
	for i, t := range at {
		v := float64(i) - rate*t.Seconds()
		if i == 0 || v < least {
			least = v
		}
		most = max(most, v-least+1)
	}
	return most
}
