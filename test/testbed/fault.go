package testbed

import (
	"net/http"
	"sync/atomic"
	"time"
)

// Fault is what is wrong with an application: it answers every HTTP request late,
// with an error, or both. The zero Fault is none.
type Fault struct {
	Code  int // instead of what was asked for; 0 is no error
	Delay time.Duration
}

// faulty is the fault of one application, which changes while it serves.
type faulty struct{ now atomic.Pointer[Fault] }

// Break gives the application beside the sidecar a fault from now on; the zero
// Fault mends it.
func (s *Sidecar) Break(f Fault) { s.apps.fault.now.Store(&f) }

// spoils answers r in place of the application if it is broken.
func (f *faulty) spoils(w http.ResponseWriter, r *http.Request) bool {
	fault := f.now.Load()
	if fault == nil {
		return false
	}
	if fault.Delay > 0 {
		select {
		case <-r.Context().Done():
			return true
		case <-time.After(fault.Delay):
		}
	}
	if fault.Code == 0 {
		return false
	}
	http.Error(w, "broken", fault.Code)
	return true
}
