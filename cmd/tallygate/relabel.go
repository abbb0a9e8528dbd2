package main

import (
	"context"
	"sync"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// relabeler stands before the table so that a reload can change the custom
// labels at both ends at one moment: values that were read under the old labels
// must not be counted under the names of the new.
type relabeler struct {
	next mesh.Sink

	mu      sync.RWMutex // held for writing during a change
	changed time.Time    // of the labels
}

// Consume implements [mesh.Sink].
func (r *relabeler) Consume(ctx context.Context, b *mesh.Batch) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if b.Received.Before(r.changed) {
		// Perhaps read under the old labels, and there are but a few.
		for i := range b.Entries {
			b.Entries[i].Custom = mesh.Custom{}
		}
	}
	return r.next.Consume(ctx, b)
}

// change calls fn while nothing is counted. Batches that wait meanwhile lose
// their custom values.
func (r *relabeler) change(fn func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := fn(); err != nil {
		return err
	}
	r.changed = time.Now()
	return nil
}
