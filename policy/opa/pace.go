package opa

import (
	"context"
	"time"
)

// pace lets work that takes seconds rest after every slice of it, so that
// requests find a core free meanwhile. A nil pace does not.
type pace struct {
	ctx   context.Context // without rest once it has ended
	steps uint
	began time.Time // when the slice did
}

const (
	slice = 500 * time.Microsecond
	rest  = time.Millisecond // about the least that can be slept
	// stepsPerLook is after how many steps the clock is looked at.
	stepsPerLook = 64
)

func newPace(ctx context.Context) *pace { return &pace{ctx: ctx, began: time.Now()} }

// step is called again and again, each time after a few microseconds of work at
// most.
func (p *pace) step() {
	if p == nil {
		return
	}
	if p.steps++; p.steps%stepsPerLook == 0 {
		p.look()
	}
}

// look rests if the slice is over.
func (p *pace) look() {
	if p == nil {
		return
	}
	if time.Since(p.began) >= slice && p.ctx.Err() == nil {
		time.Sleep(rest)
		p.began = time.Now()
	}
}
