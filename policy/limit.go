package policy

import (
	"runtime"
	"sync"
	"time"
)

// limiter bounds the evaluations at once, between one per core and a configured
// most: additive increase while they are fast and the limit is what holds them
// back, multiplicative decrease when one is slow.
type limiter struct {
	mu       sync.Mutex
	inFlight int
	limit    float64
	least    float64
	most     float64
	slow     time.Duration // an evaluation of at least this length
	lowered  time.Time     // when the limit was last decreased
}

func newLimiter(most int, timeout time.Duration) *limiter {
	l := &limiter{}
	l.configure(most, timeout)
	l.limit = l.most
	return l
}

func (l *limiter) configure(most int, timeout time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = float64(most)
	l.least = min(l.most, float64(runtime.GOMAXPROCS(0)))
	l.limit = min(max(l.limit, l.least), l.most)
	l.slow = timeout / 2
}

// acquire reports whether one more evaluation may begin.
func (l *limiter) acquire() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inFlight >= int(l.limit) {
		return false
	}
	l.inFlight++
	return true
}

// release ends an evaluation that took so long.
func (l *limiter) release(now time.Time, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	busy := float64(l.inFlight) >= l.limit/2
	l.inFlight--
	switch {
	case took >= l.slow:
		// Those that began together are slow together: that is one sign.
		if now.Sub(l.lowered) >= l.slow {
			l.limit = max(l.least, l.limit*0.8)
			l.lowered = now
		}
	case busy:
		l.limit = min(l.most, l.limit+1/l.limit)
	}
}

func (l *limiter) figures() (inFlight int, limit float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inFlight, l.limit
}
