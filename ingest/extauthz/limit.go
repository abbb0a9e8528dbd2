package extauthz

import (
	"sync"
	"sync/atomic"
	"time"
)

// limiter bounds how many checks are worked on at once: additive increase while
// judgements are in time and the limit is felt, multiplicative decrease when one
// is late, at most once in a timeout.
type limiter struct {
	cfg      LimitConfig
	late     time.Duration // what takes longer was late
	inFlight atomic.Int64
	limit    atomic.Int64

	mu      sync.Mutex
	state   limitState
	lowered time.Time
}

// limitState is the limit with what the additive increase has gathered.
type limitState struct{ limit float64 }

func newLimiter(cfg LimitConfig, timeout time.Duration) *limiter {
	l := &limiter{cfg: cfg, late: timeout / 2, state: limitState{float64(cfg.Max)}}
	l.limit.Store(int64(cfg.Max))
	return l
}

// enter takes a place. Without one it returns false, and leave must not be
// called.
func (l *limiter) enter() bool {
	if l.inFlight.Add(1) > l.limit.Load() {
		l.inFlight.Add(-1)
		return false
	}
	return true
}

// leave gives the place back after a judgement that took d and ended at now.
func (l *limiter) leave(now time.Time, d time.Duration) {
	busy := l.inFlight.Add(-1) + 1
	if !l.cfg.Adaptive {
		return
	}
	limit := l.limit.Load()
	late := d > l.late
	if !late && (limit == int64(l.cfg.Max) || busy*2 < limit) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if late && now.Sub(l.lowered) < 2*l.late {
		return
	}
	if late {
		l.lowered = now
	}
	l.state = l.state.after(late, l.cfg)
	l.limit.Store(int64(l.state.limit))
}

// after returns the state after one more judgement.
func (s limitState) after(late bool, cfg LimitConfig) limitState {
	if late {
		s.limit *= 0.8
	} else {
		s.limit += 1 / s.limit
	}
	s.limit = min(max(s.limit, float64(cfg.Min)), float64(cfg.Max))
	return s
}
