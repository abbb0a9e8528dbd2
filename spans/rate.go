package spans

import (
	"sync/atomic"
	"time"
)

// spend takes one from a bucket that fills at one per interval and holds burst.
// full is the moment at which the bucket is full again: the whole state. In
// nanoseconds.
func spend(now, full, interval, burst int64) (next int64, ok bool) {
	next = max(full, now) + interval
	if next-now > interval*burst {
		return full, false
	}
	return next, true
}

// rate is a bound per second with a burst of one second.
type rate struct {
	interval, burst int64
	full            atomic.Int64
}

func newRate(perSecond float64) *rate {
	return &rate{
		interval: max(1, int64(float64(time.Second)/perSecond)),
		burst:    max(1, int64(perSecond)),
	}
}

func (r *rate) allow(now int64) bool {
	for {
		full := r.full.Load()
		next, ok := spend(now, full, r.interval, r.burst)
		if !ok {
			return false
		}
		if r.full.CompareAndSwap(full, next) {
			return true
		}
	}
}
