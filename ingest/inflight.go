package ingest

import "sync/atomic"

// InFlight bounds how many requests are worked on at once. It does not adapt:
// what is slow is evaluation, which the decider limits by itself, and answers
// from its cache must not suffer for that.
type InFlight struct{ n, most atomic.Int64 }

// Limit sets how many there may be.
func (l *InFlight) Limit(most int) { l.most.Store(int64(most)) }

// Enter takes a place. Without one it returns false, and Leave must not be
// called.
func (l *InFlight) Enter() bool {
	if l.n.Add(1) > l.most.Load() {
		l.n.Add(-1)
		return false
	}
	return true
}

// Leave gives the place back.
func (l *InFlight) Leave() { l.n.Add(-1) }

// Now returns how many there are.
func (l *InFlight) Now() int64 { return l.n.Load() }

// Most returns how many there may be.
func (l *InFlight) Most() int64 { return l.most.Load() }
