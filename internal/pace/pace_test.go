package pace

import (
	"testing"
	"testing/synctest"
	"time"
)

const ms = time.Millisecond

// busy works n times, each for work, with pauses, and returns how long it waited
// for its turns.
func busy(p *Pace, n int, work, pause time.Duration) time.Duration {
	var waited time.Duration
	for range n {
		asked := time.Now()
		p.Begin()
		waited += time.Since(asked)
		time.Sleep(work) // stands for work: the clock is synctest's
		p.End()
		time.Sleep(pause)
	}
	return waited
}

func TestPace(t *testing.T) {
	for _, c := range []struct {
		name        string
		share       float64
		n           int
		work, pause time.Duration
		least, most time.Duration // that is waited
	}{
		{"without a bound", 1, 1000, ms, 0, 0, 0},
		{"with less to do than the share", 0.3, 1000, 2 * ms, 8 * ms, 0, 0},
		{"a burst", 0.3, 10, ms, 0, 0, 0},
		{"all the time", 0.3, 1000, ms, 0, 2280 * ms, 2334 * ms},
		{"all the time, half of it", 0.5, 1000, ms, 0, 970 * ms, 1000 * ms},
		{"after a long turn", 0.5, 2, time.Minute, 0, 2 * maxDebt * 10 * ms, 2 * maxDebt * 10 * ms},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := busy(New(c.share, 10*ms), c.n, c.work, c.pause); got < c.least || got > c.most {
					t.Errorf("waited for %v, want %v to %v", got, c.least, c.most)
				}
			})
		})
	}
}

func TestStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := New(0.25, ms)
		p.Begin()
		for range 10_000 {
			time.Sleep(10 * time.Microsecond)
			p.Step()
		}
		p.End()
		if took := time.Since(began); took < 395*ms || took > 400*ms {
			t.Errorf("100 ms of work took %v at a quarter of the time", took)
		}
	})
}

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(0.5, ms)
		began, working := time.Now(), false
		for range 4 {
			go func() {
				for range 25 {
					give := turns.Take()
					if working {
						t.Error("two work at once")
					}
					working = true
					time.Sleep(ms)
					working = false
					give()
				}
			}()
		}
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		give := turns.Take()
		give()
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}
