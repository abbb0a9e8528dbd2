package opa

import (
	"os"
	"runtime"
	"runtime/debug"
	gcmetrics "runtime/metrics"
	"sync"
)

// loading counts the loads that go on in this process.
var loading struct {
	sync.Mutex
	n, procs, gcPercent int
}

// spare prepares the runtime for a load of much data beside requests, until end
// is called. Two more processors: a request then waits for the kernel's next
// slice instead of the end of what the load and the garbage collector do with
// theirs. And a heap that may grow further before it is collected: nearly all
// that a load allocates stays.
func spare() (end func()) {
	loading.Lock()
	defer loading.Unlock()
	if loading.n++; loading.n == 1 {
		loading.procs = runtime.GOMAXPROCS(0)
		runtime.GOMAXPROCS(loading.procs + 2)
		if loading.gcPercent = debug.SetGCPercent(-1); loading.gcPercent > 0 {
			debug.SetGCPercent(3 * loading.gcPercent)
		}
	}
	return sync.OnceFunc(spared)
}

func spared() {
	loading.Lock()
	defer loading.Unlock()
	if loading.n--; loading.n > 0 {
		return
	}
	if loading.gcPercent > 0 && outgrown(loading.gcPercent) {
		runtime.GC() // while the limit is far: beyond it requests would have to help
	}
	debug.SetGCPercent(loading.gcPercent)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.SetDefaultGOMAXPROCS() // and follows a changed limit again
		return
	}
	runtime.GOMAXPROCS(loading.procs)
}

// outgrown reports whether the heap has nearly grown by percent since it was
// collected.
func outgrown(percent int) bool {
	m := []gcmetrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	gcmetrics.Read(m)
	live, now := m[0].Value.Uint64(), m[1].Value.Uint64()
	return now > live+live/100*uint64(percent)*9/10
}
