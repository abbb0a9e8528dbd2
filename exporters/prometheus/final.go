package prometheus

import (
	"context"
	"sync"
)

// final finds the scrape that begins after the wish for a last one.
type final struct {
	mu     sync.Mutex
	begun  uint64
	after  uint64 // only a later scrape is the final one
	wanted bool
	done   chan struct{}
}

func (f *final) begin() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun++
	return f.begun
}

func (f *final) finish(number uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wanted && number > f.after {
		f.wanted = false
		close(f.done)
	}
}

// WaitFinalScrape waits until a scrape that began after the call has finished,
// so that a Prometheus has everything that was counted before; or returns the
// cause of ctx's end. From the call on, new series are no longer held at 0.
func (h *Handler) WaitFinalScrape(ctx context.Context) error {
	h.table.Reveal()
	h.final.mu.Lock()
	if !h.final.wanted {
		h.final.done = make(chan struct{})
		h.final.wanted = true
	}
	h.final.after = h.final.begun
	done := h.final.done
	h.final.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
