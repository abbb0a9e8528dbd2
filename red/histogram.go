package red

import (
	"math"
	"math/bits"
)

// DefaultBuckets are Envoy's histogram buckets. For durations they are
// milliseconds, for sizes bytes.
var DefaultBuckets = []float64{
	0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000,
}

// CoarseByteBuckets cost a third of DefaultBuckets and fit sizes better.
var CoarseByteBuckets = []float64{256, 1024, 4096, 16384, 65536, 1048576, 16777216}

// buckets finds the bucket of an integer value: nanoseconds or bytes.
type buckets struct {
	bounds []uint64 // inclusive upper bounds, then MaxUint64 for +Inf
	// first is the lowest bucket that a value of so many bits can be in.
	first [65]uint8
}

// nanosPerMilli scales the buckets of durations to what is counted.
const nanosPerMilli = 1e6

// newBuckets returns the buckets with the given upper bounds times scale.
func newBuckets(bounds []float64, scale float64) *buckets {
	b := &buckets{bounds: make([]uint64, 0, len(bounds)+1)}
	for _, bound := range bounds {
		b.bounds = append(b.bounds, integerBound(bound*scale))
	}
	b.bounds = append(b.bounds, math.MaxUint64)
	for n := range b.first {
		least := uint64(0)
		if n > 0 {
			least = 1 << (n - 1)
		}
		for b.bounds[b.first[n]] < least {
			b.first[n]++
		}
	}
	return b
}

// integerBound returns the greatest integer up to f, which may be a rounding
// error below it: 0.0003 ms is 299.99999999999994 ns.
func integerBound(f float64) uint64 {
	if f >= math.MaxUint64 {
		return math.MaxUint64 - 1
	}
	if up := math.Ceil(f); up-f <= 4e-16*f {
		return uint64(up)
	}
	return uint64(f)
}

// find returns the bucket of v: the first whose upper bound is not below v.
func (b *buckets) find(v uint64) int {
	i := int(b.first[bits.Len64(v)])
	for b.bounds[i] < v {
		i++
	}
	return i
}
