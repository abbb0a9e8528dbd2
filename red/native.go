package red

import (
	"math"
	"slices"
)

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

const maxSchema = 8

// octave divides a power of two into the buckets of a schema, by the fraction
// bits of a float64.
type octave struct {
	bounds []uint64  // inclusive upper bounds: 0 first, then rising
	first  [64]uint8 // the lowest bucket by the six highest bits
}

var octaves = func() (o [maxSchema + 1]octave) {
	for s := range o {
		for i := range 1 << s {
			bound := math.Exp2(float64(i) / float64(int(1)<<s))
			o[s].bounds = append(o[s].bounds, math.Float64bits(bound)&fractionMask)
		}
		for high := range o[s].first {
			o[s].first[high] = uint8(min(255, slices.IndexFunc(append(o[s].bounds, math.MaxUint64), func(b uint64) bool {
				return b >= uint64(high)<<(fractionBits-6)
			})))
		}
	}
	return o
}()

const (
	fractionBits = 52
	fractionMask = uint64(1)<<fractionBits - 1
	exponentBias = 1023
)

// nativeIndex returns the index of the bucket of v, which is positive and not
// subnormal.
func nativeIndex(v float64, schema int32) int32 {
	b := math.Float64bits(v)
	exp, fraction := int32(b>>fractionBits)-exponentBias, b&fractionMask
	if schema <= 0 {
		if fraction != 0 { // a power of two is its bucket's upper bound
			exp++
		}
		return (exp + 1<<-schema - 1) >> -schema
	}
	o := &octaves[schema]
	i := int(o.first[fraction>>(fractionBits-6)])
	for i < len(o.bounds) && o.bounds[i] < fraction {
		i++
	}
	return exp<<schema + int32(i)
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
