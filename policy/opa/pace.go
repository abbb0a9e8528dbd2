package opa

import (
	"context"
	"time"

	"github.com/tallygate/tallygate/internal/pace"
)

// pacer lets work that takes seconds rest again and again, so that requests find
// a core free meanwhile. A nil pacer does not.
type pacer struct {
	ctx   context.Context // without rest once it has ended
	of    *pace.Pace
	steps uint
}

const (
	loadShare = 0.3
	loadBurst = 500 * time.Microsecond
	// stepsPerLook is after how many steps the clock is looked at.
	stepsPerLook = 64
)

func newPacer(ctx context.Context) *pacer {
	return &pacer{ctx: ctx, of: pace.New(loadShare, loadBurst)}
}

// step is called again and again, each time after a few microseconds of work at
// most.
func (p *pacer) step() {
	if p == nil {
		return
	}
	if p.steps++; p.steps%stepsPerLook == 0 {
		p.look()
	}
}

// look is called after more.
func (p *pacer) look() {
	if p != nil && p.ctx.Err() == nil {
		p.of.Step()
	}
}
