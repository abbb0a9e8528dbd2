package telemetry

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leastHeadroom is how much is allocated at least between two collections of
// garbage. By default that is as much as is alive, which in a process with a
// small heap means a collection every few milliseconds under load.
const leastHeadroom = 64 << 20

// KeepHeadroom lets the heap grow by at least 64 MiB between two collections of
// garbage, so that a small heap costs no more of the processor than a large one.
// The memory limit stands above it. It does nothing if GOGC is set.
func KeepHeadroom() {
	if os.Getenv("GOGC") != "" {
		return
	}
	h := &headroom{percent: 100, set: func(percent int) { debug.SetGCPercent(percent) }}
	h.afterEachCollection()
}

type headroom struct {
	percent int
	set     func(percent int)
}

// afterEachCollection adjusts for the next cycle when one has ended: an object
// that nobody holds is found by each.
func (h *headroom) afterEachCollection() {
	type sentinel struct{ _ [16]byte } // without pointers a smaller one might share its block
	runtime.AddCleanup(new(sentinel), func(h *headroom) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		h.adjust(live[0].Value.Uint64())
		h.afterEachCollection()
	}, h)
}

// adjust sets the percentage by which live may grow. Setting it stops the world
// for a moment: not for a small difference.
func (h *headroom) adjust(live uint64) {
	percent := int(max(100, min(2000, 100*leastHeadroom/max(live, 1))))
	if math.Abs(float64(percent-h.percent)) > 0.2*float64(h.percent) || percent == 100 && h.percent != 100 {
		h.percent = percent
		h.set(percent)
	}
}
