package extauthz

import "sync/atomic"

// limiter bounds how many checks are worked on at once. It does not adapt: what
// is slow is evaluation, which the decider limits by itself, and answers from
// its cache must not suffer for that.
type limiter struct{ inFlight, most atomic.Int64 }

// enter takes a place. Without one it returns false, and leave must not be
// called.
func (l *limiter) enter() bool {
	if l.inFlight.Add(1) > l.most.Load() {
		l.inFlight.Add(-1)
		return false
	}
	return true
}

func (l *limiter) leave() { l.inFlight.Add(-1) }
