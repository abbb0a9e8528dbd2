package quota

import (
	"sync"
	"time"
)

// breaker says whether Redis is to be asked at all: one that does not answer must
// cost nobody any time.
type breaker struct {
	mu       sync.Mutex
	open     bool
	failures int           // in a row
	backoff  time.Duration // to the next probe
	probeAt  int64
}

const (
	breakAfter  = 2 // batches in a row
	backoffMin  = 100 * time.Millisecond
	backoffMost = 3 * time.Second
)

// closed reports whether to ask.
func (b *breaker) closed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.open
}

// failed notes a failure and reports whether it opened the breaker.
func (b *breaker) failed(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if b.open || b.failures < breakAfter {
		return false
	}
	b.trip(now)
	return true
}

// start begins open: nothing is known of Redis yet.
func (b *breaker) start(now int64) { b.open, b.probeAt = true, now }

func (b *breaker) trip(now int64) {
	b.open, b.backoff = true, backoffMin
	b.probeAt = now + int64(jitter(b.backoff))
}

// passed notes a success and reports whether it closed the breaker.
func (b *breaker) passed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.open
	b.open, b.failures = false, 0
	return was
}

// probe reports whether it is time to try, and sets the next time.
func (b *breaker) probe(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open || now < b.probeAt {
		return false
	}
	b.backoff = min(max(2*b.backoff, backoffMin), backoffMost)
	b.probeAt = now + int64(jitter(b.backoff))
	return true
}
