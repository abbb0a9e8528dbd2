package main

import (
	"context"

	"github.com/tallygate/tallygate/internal/tap"
	"github.com/tallygate/tallygate/mesh"
)

// tapped shows what was counted.
type tapped struct {
	next mesh.Sink
	tap  *tap.Tap
}

// Consume implements [mesh.Sink].
func (t *tapped) Consume(ctx context.Context, b *mesh.Batch) error {
	if err := t.next.Consume(ctx, b); err != nil {
		return err
	}
	return t.tap.Consume(ctx, b)
}
