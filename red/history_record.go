package red

import (
	"encoding/binary"
	"math"
)

// counter is one of the figures that the history keeps of a label set.
type counter uint8

const (
	countRequests counter = iota
	countNanos            // sum of the durations
	countRequestBytes
	countResponseBytes
	countSent
	countReceived
	countOpened
	countClosed
	numCounters
)

// figures are what a label set counted in some time.
type figures struct {
	counts  [numCounters]uint64
	buckets []uint64 // of the durations; empty or one per bound and +Inf
}

func (f *figures) add(o *figures) {
	for i, n := range o.counts {
		f.counts[i] += n
	}
	if len(f.buckets) < len(o.buckets) {
		f.buckets = append(f.buckets, make([]uint64, len(o.buckets)-len(f.buckets))...)
	}
	for i, n := range o.buckets {
		f.buckets[i] += n
	}
}

// gauge says where the figures of a view's series are; -1 is nowhere.
type gauge struct {
	offsets [numCounters]int
	sums    [numCounters]bool // is the sum of a histogram
	first   int               // of the duration's buckets
	n       int
	bounds  []float64
}

func (v *view) gauge() *gauge {
	g := &gauge{}
	for i := range g.offsets {
		g.offsets[i] = -1
	}
	for i := range v.takes {
		t := &v.takes[i]
		c, ok := map[source]counter{
			takeOne: countRequests, takeDuration: countNanos,
			takeRequestBytes: countRequestBytes, takeResponseBytes: countResponseBytes,
			takeSentBytes: countSent, takeReceivedBytes: countReceived,
			takeOpened: countOpened, takeClosed: countClosed,
		}[t.source]
		if !ok {
			continue
		}
		g.offsets[c], g.sums[c] = t.offset, t.buckets != nil
		if t.source == takeDuration {
			g.first, g.n, g.bounds = t.first, len(t.buckets.bounds), t.family.Bounds
		}
	}
	return g
}

// read sets f to what s, whose shard is locked, has counted since it was last
// read, and reports whether that is anything.
func (g *gauge) read(f *figures, s *series, k *tracked) bool {
	grown := false
	for c, at := range g.offsets {
		f.counts[c] = 0
		if at < 0 {
			continue
		}
		x := s.values[at]
		if g.sums[c] {
			x = uint64(math.Float64frombits(x))
		}
		f.counts[c] = x - k.last.counts[c]
		k.last.counts[c] = x
		grown = grown || f.counts[c] > 0
	}
	if !grown || g.n == 0 {
		f.buckets = f.buckets[:0]
		return grown
	}
	if k.last.buckets == nil {
		k.last.buckets = make([]uint64, g.n)
	}
	f.buckets = append(f.buckets[:0], s.values[g.first:g.first+g.n]...)
	for i, last := range k.last.buckets {
		k.last.buckets[i] = f.buckets[i]
		f.buckets[i] -= last
	}
	return true
}

// appendRecord writes a label set's figures: its index, the set of counters that
// are not 0 with their values, how many buckets there are, and of those that are
// not empty the distance from the one before and the count.
func appendRecord(b []byte, index uint32, f *figures) []byte {
	b = binary.AppendUvarint(b, uint64(index))
	at := len(b)
	b = append(b, 0)
	for c, n := range f.counts {
		if n > 0 {
			b[at] |= 1 << c
			b = binary.AppendUvarint(b, n)
		}
	}
	used := uint64(0)
	for _, n := range f.buckets {
		if n > 0 {
			used++
		}
	}
	b = binary.AppendUvarint(b, uint64(len(f.buckets)))
	if len(f.buckets) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, used)
	gap := uint64(0)
	for _, n := range f.buckets {
		if n == 0 {
			gap++
			continue
		}
		b = binary.AppendUvarint(b, gap)
		b = binary.AppendUvarint(b, n)
		gap = 0
	}
	return b
}

// eachRecord calls fn for each record of b. The figures are overwritten by the
// next.
func eachRecord(b []byte, fn func(index uint32, f *figures)) {
	var f figures
	next := func() uint64 {
		x, n := binary.Uvarint(b)
		b = b[n:]
		return x
	}
	for len(b) > 0 {
		index := uint32(next())
		set := b[0]
		b = b[1:]
		for c := range f.counts {
			f.counts[c] = 0
			if set>>c&1 != 0 {
				f.counts[c] = next()
			}
		}
		n := int(next())
		if cap(f.buckets) < n {
			f.buckets = make([]uint64, n)
		}
		f.buckets = f.buckets[:n]
		clear(f.buckets)
		if n > 0 {
			i := -1
			for range next() {
				i += int(next()) + 1
				f.buckets[i] = next()
			}
		}
		fn(index, &f)
	}
}
