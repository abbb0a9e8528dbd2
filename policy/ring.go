package policy

import "sync"

// ring keeps the last values that were added.
type ring[T any] struct {
	mu   sync.Mutex
	buf  []T
	next int
	full bool
}

// resize empties the ring if its size changes.
func (r *ring[T]) resize(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n != len(r.buf) {
		r.buf, r.next, r.full = make([]T, n), 0, false
	}
}

func (r *ring[T]) cap() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.buf)
}

func (r *ring[T]) add(v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.buf) == 0 {
		return
	}
	r.buf[r.next] = v
	if r.next++; r.next == len(r.buf) {
		r.next, r.full = 0, true
	}
}

// newest returns what is kept, the newest first.
func (r *ring[T]) newest() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.next
	if r.full {
		n = len(r.buf)
	}
	out := make([]T, n)
	for i := range out {
		out[i] = r.buf[(r.next-1-i+len(r.buf))%len(r.buf)]
	}
	return out
}
