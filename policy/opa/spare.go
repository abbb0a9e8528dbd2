package opa

import (
	"os"
	"runtime"
)

// spare gives the scheduler two more processors until end is called. Much data
// keeps one of them busy for seconds, and the garbage collector another; with
// these a request that comes meanwhile waits for the kernel's next slice instead
// of the end of theirs.
func spare() (end func()) {
	n := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(n + 2)
	return func() {
		if os.Getenv("GOMAXPROCS") == "" {
			runtime.SetDefaultGOMAXPROCS() // and follows a changed limit again
			return
		}
		runtime.GOMAXPROCS(n)
	}
}
