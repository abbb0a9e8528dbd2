package spans

import "math"

// warmup is how many requests an edge must have had before its p99 is one.
const warmup = 500

// How far one request moves the estimate: up if it took longer, else down, a
// hundredth of that.
var (
	up   = math.Exp(0.05 * 0.99)
	down = math.Exp(-0.05 * 0.01)
)

// p99 is a running estimate of the 99th percentile of durations: it rises with
// each that is longer and falls with each that is not, and so rests where one in a
// hundred is longer. In nanoseconds.
type p99 struct {
	value float64
	count uint64
}

// pack and unpack make one word of an estimate, which is read and written without
// a lock. The count stays at 2³² - 1.
func (p p99) pack() uint64 {
	return uint64(math.Float32bits(float32(p.value)))<<32 | min(p.count, math.MaxUint32)
}

func unpack(x uint64) p99 {
	return p99{float64(math.Float32frombits(uint32(x >> 32))), x & math.MaxUint32}
}

// observe returns the estimate after one more duration, and whether that was
// longer. None is before there were enough.
func (p p99) observe(d float64) (next p99, longer bool) {
	p.count++
	if p.count <= warmup {
		// Start at the longest; down is not far.
		p.value = max(p.value, d)
		return p, false
	}
	if d > p.value {
		p.value = max(1, p.value) * up
		return p, true
	}
	p.value *= down
	return p, false
}
