package als

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Ways in which a stream ends.
const (
	endClient  = "client"
	endAge     = "age"
	endDrain   = "drain"
	endRefused = "refused"
	endBroken  = "broken"
)

// A stream is ended between two messages, when what was under way is here and
// what is next has not been sent: there is no acknowledgement, so a message that
// crosses the end of its stream is lost.
const (
	// quiet is how long after a message nothing may have come for the stream to
	// end. Of a stream whose pauses are short it is a quarter of the longest, so
	// that the end falls well before the next message.
	quiet = 2 * time.Millisecond
	// minTimer is the least time that a timer is good for.
	minTimer = time.Millisecond
	// idle is longer than Envoy holds entries back by default (1 s).
	idle = 1500 * time.Millisecond
	// patience is how long a quiet moment is waited for. A stream that has none
	// ends after any message.
	patience = 2 * time.Second
)

// ending is what it takes to find the moment to end a stream.
type ending struct {
	begun   atomic.Bool
	counted chan struct{} // after begun: a message was worked off

	waiting atomic.Int64 // since when the reader waits for a message, Unix nanoseconds; 0 if it works
	pause   atomic.Int64 // the longest time between two messages lately, in nanoseconds
	last    int64        // when the last message arrived; of the reader alone
}

func newEnding() ending { return ending{counted: make(chan struct{}, 1)} }

// arrived notes that the reader has a message.
func (e *ending) arrived(now time.Time) {
	e.waiting.Store(0)
	at := now.UnixNano()
	if e.last != 0 {
		pause := e.pause.Load()
		e.pause.Store(max(at-e.last, pause-pause/64))
	}
	e.last = at
}

// wait notes that the reader waits for the next message.
func (e *ending) wait(now time.Time) {
	e.waiting.Store(now.UnixNano())
	if e.begun.Load() {
		select {
		case e.counted <- struct{}{}:
		default:
		}
	}
}

// still reports whether nothing comes while everybody else has had a turn: some
// tens of microseconds.
func (e *ending) still() bool {
	for range 500 {
		if e.waiting.Load() == 0 {
			return false
		}
		runtime.Gosched()
	}
	return true
}

// wait returns when the stream has ended or should.
func (st *stream) wait(done <-chan error) (reason string, err error) {
	var age <-chan time.Time
	if max := st.s.cfg.ConnectionAge; max > 0 {
		spread := st.s.cfg.ConnectionAgeJitter * (2*rand.Float64() - 1)
		timer := time.NewTimer(time.Duration(float64(max) * (1 + spread)))
		defer timer.Stop()
		age = timer.C
	}
	select {
	case err := <-done:
		return ended(err)
	case <-age:
		reason = endAge
	case <-st.s.draining:
		reason = endDrain
	}
	e := &st.ending
	e.begun.Store(true)
	timer := time.NewTimer(idle)
	defer timer.Stop()
	if since := e.waiting.Load(); since != 0 {
		timer.Reset(idle - time.Since(time.Unix(0, since)))
	}
	hurry := time.NewTimer(patience)
	defer hurry.Stop()
	hurried := false
	for {
		select {
		case err := <-done:
			return ended(err)
		case <-hurry.C:
			hurried = true
		case <-timer.C:
			if e.waiting.Load() != 0 {
				return reason, nil
			}
		case <-e.counted:
			rest := min(time.Duration(e.pause.Load()/4), quiet)
			if hurried || rest < minTimer && e.still() {
				return reason, nil
			}
			timer.Reset(rest)
		}
	}
}

func ended(err error) (string, error) {
	switch {
	case err == nil:
		return endClient, nil
	case errors.Is(err, errIdentity), errors.Is(err, errNoPrincipal):
		return endRefused, status.Error(codes.PermissionDenied, err.Error())
	}
	return endBroken, err
}
