package ingest

import (
	"context"
	"sync"
	"time"
)

// Budget is a context with a deadline that costs a timer only if somebody waits
// for it: a decision from the cache is made long before.
type Budget struct {
	context.Context
	deadline time.Time

	mu     sync.Mutex
	timed  context.Context // once Done was called
	cancel context.CancelFunc
	over   bool
}

// NewBudget gives a judgement d from now on, and less if parent ends soon: three
// quarters of what is left, so that the answer is in time. End must be called.
func NewBudget(parent context.Context, now time.Time, d time.Duration) *Budget {
	b := &Budget{Context: parent, deadline: now.Add(d)}
	if t, ok := parent.Deadline(); ok {
		if t = now.Add(t.Sub(now) * 3 / 4); t.Before(b.deadline) {
			b.deadline = t
		}
	}
	return b
}

func (b *Budget) Deadline() (time.Time, bool) { return b.deadline, true }

func (b *Budget) Done() <-chan struct{} { return b.context().Done() }

func (b *Budget) Err() error {
	b.mu.Lock()
	timed, over := b.timed, b.over
	b.mu.Unlock()
	if timed != nil {
		return timed.Err()
	}
	if err := b.Context.Err(); err != nil {
		return err
	}
	if over {
		return context.Canceled
	}
	if !time.Now().Before(b.deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

func (b *Budget) context() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timed == nil {
		b.timed, b.cancel = context.WithDeadline(b.Context, b.deadline)
		if b.over {
			b.cancel()
		}
	}
	return b.timed
}

// End ends the context.
func (b *Budget) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if b.cancel != nil {
		b.cancel()
	}
}
