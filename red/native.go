package red

import "math"

// Native is a histogram with exponential buckets, as Prometheus' native
// histograms and OpenTelemetry's exponential histograms have them. Values are
// in the unit of the family.
type Native struct {
	Schema int32  // bucket i holds values in (2^((i-1)/2^Schema), 2^(i/2^Schema)]
	Zero   uint64 // count of values that are 0
	Offset int32  // index of the first of Counts; OpenTelemetry's index is one less
	Counts []uint64
}

// add counts v, which must not be negative, in at most limit buckets: where
// they do not suffice, the resolution is halved.
func (n *Native) add(v float64, limit int) {
	if v == 0 {
		n.Zero++
		return
	}
	i := nativeIndex(v, n.Schema)
	for !n.cover(i, limit) {
		n.halve()
		i = (i + 1) >> 1
	}
	n.Counts[i-n.Offset]++
}

// minSchema is the lowest resolution that Prometheus knows: buckets of factor
// 65536.
const minSchema = -4

// cover makes Counts reach i, or reports that it would take more than limit
// buckets.
func (n *Native) cover(i int32, limit int) bool {
	if len(n.Counts) == 0 {
		n.Offset = i
		n.Counts = append(n.Counts, 0)
		return true
	}
	below := int(n.Offset) - int(i)
	above := int(i) - int(n.Offset) - len(n.Counts) + 1
	if below <= 0 && above <= 0 {
		return true
	}
	if len(n.Counts)+max(below, above) > limit && n.Schema > minSchema {
		return false
	}
	if above > 0 {
		for range above {
			n.Counts = append(n.Counts, 0)
		}
		return true
	}
	old := len(n.Counts)
	for range below {
		n.Counts = append(n.Counts, 0)
	}
	copy(n.Counts[below:], n.Counts[:old])
	clear(n.Counts[:below])
	n.Offset = i
	return true
}

// halve merges pairs of buckets.
func (n *Native) halve() {
	from := n.Offset
	n.Schema--
	n.Offset = (from + 1) >> 1
	merged := n.Counts[:0]
	for j, c := range n.Counts {
		to := int((from+int32(j)+1)>>1 - n.Offset)
		if to < len(merged) {
			merged[to] += c
		} else {
			merged = append(merged, c)
		}
	}
	clear(n.Counts[len(merged):])
	n.Counts = merged
}

// nativeBounds are the upper bounds, in [0.5, 1), of the buckets of one power
// of two, by schema.
var nativeBounds = func() (b [maxSchema + 1][]float64) {
	for s := range b {
		for i := range 1 << s {
			b[s] = append(b[s], math.Exp2(float64(i)/float64(int(1)<<s)-1))
		}
	}
	return b
}()

const maxSchema = 8

// nativeIndex returns the index of the bucket of v.
func nativeIndex(v float64, schema int32) int32 {
	frac, exp := math.Frexp(v) // v = frac * 2^exp, frac in [0.5, 1)
	if schema <= 0 {
		if frac == 0.5 { // a power of two is its bucket's upper bound
			exp--
		}
		shift := -schema
		return int32((exp + (1 << shift) - 1) >> shift)
	}
	bounds := nativeBounds[schema]
	lo, hi := 0, len(bounds)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if bounds[mid] < frac {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return int32((exp-1)<<schema + lo)
}

// schemaFor returns the coarsest resolution at which a bucket is at most factor
// times as wide as the one before.
func schemaFor(factor float64) int32 {
	for s := int32(minSchema); s < maxSchema; s++ {
		if math.Exp2(math.Exp2(float64(-s))) <= factor {
			return s
		}
	}
	return maxSchema
}
