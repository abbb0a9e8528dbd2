package pace

import "time"

// Pace holds one worker to its share. A nil Pace does not.
type Pace struct {
	share  float64
	burst  time.Duration
	credit time.Duration // that may be worked now; negative is debt
	since  time.Time     // what was earned until then is in credit
}

// maxDebt, in bursts, bounds what is made up for: nobody waits much longer for
// one long turn than for many short ones.
const maxDebt = 2

// New returns a Pace of a share of the time, 0 < share <= 1. After a pause burst
// may be worked at a stretch; much less than a millisecond cannot be slept. A
// share of 1 is a nil Pace.
func New(share float64, burst time.Duration) *Pace {
	if share >= 1 {
		return nil
	}
	return &Pace{share: share, burst: burst, credit: burst, since: time.Now()}
}

// Begin waits for the turn of the worker.
func (p *Pace) Begin() {
	if p == nil {
		return
	}
	p.earn()
	if p.credit < 0 {
		time.Sleep(time.Duration(float64(-p.credit) / p.share))
		p.earn()
	}
}

// End ends the turn.
func (p *Pace) End() {
	if p == nil {
		return
	}
	began := p.since
	p.earn()
	p.credit = max(-maxDebt*p.burst, p.credit-p.since.Sub(began))
}

// Step waits in the middle of a turn if it is a burst long.
func (p *Pace) Step() {
	if p == nil || time.Since(p.since) < p.burst {
		return
	}
	p.End()
	p.Begin()
}

func (p *Pace) earn() {
	now := time.Now()
	p.credit = min(p.burst, p.credit+time.Duration(p.share*float64(now.Sub(p.since))))
	p.since = now
}

// Turns lets one of many work at a time, at a pace.
type Turns struct{ free chan *Pace }

// NewTurns returns Turns of a pace as New's.
func NewTurns(share float64, burst time.Duration) *Turns {
	t := &Turns{free: make(chan *Pace, 1)}
	t.free <- New(share, burst)
	return t
}

// Take waits for a turn, until give is called.
func (t *Turns) Take() (give func()) {
	p := <-t.free
	p.Begin()
	return func() {
		p.End()
		t.free <- p
	}
}
