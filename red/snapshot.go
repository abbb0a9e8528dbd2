package red

import (
	"math"
	"time"
)

// Snapshot is a copy of a [Table] at one time. It is reused: a Snapshot that is
// filled again keeps its memory. It must not be copied, and what its methods
// return is overwritten when it is filled again; a *Series and the slices of
// View.Labels and Family.Bounds are immutable and may be kept.
//
// Every row of a view has a value in every family of the view, taken under one
// lock: the count of a duration histogram is the value of the request counter
// beside it. Shards are copied one after the other, so that rows can be some
// microseconds apart. Stats.Counted is taken under the same locks: as long as no
// series is held or has expired and no reporter is synthesized, MetricRequests
// over all rows is what was counted of HTTP and gRPC.
//
// Values are cumulative since Series.Created.
type Snapshot struct {
	// Raw is set by the caller: series that are held at 0 have their values.
	Raw bool

	Time  time.Time
	Views []View
	Stats Stats
}

// View is the part of a snapshot that shares a label set.
type View struct {
	Name     string
	Labels   []string // names, in the order of Series.AppendValues
	Families []Family
	Rows     []Row // by Series.ID

	view      *view
	values    []uint64
	exemplars []Exemplar
	natives   []Native // their Counts are slices of counts
	counts    []uint64
}

// Family is a metric family of a view.
type Family struct {
	Name   string // with _total if it is a counter
	Help   string
	Unit   string // milliseconds, bytes or none
	Kind   Kind
	Bounds []float64 // upper bounds of a histogram's buckets, without +Inf
	Native bool      // a histogram has native buckets beside

	schema int32
	take   int // in view.takes
}

// Row is a label set with its values; the methods of View take its index.
type Row struct {
	Series *Series
	// Held says that the series is new and that its values are shown as 0.
	Held bool

	slot     int // in View.values and natives
	exemplar int // of the first in View.exemplars, -1 if there are none
}

// Count returns the value of a counter.
func (v *View) Count(row int, f *Family) uint64 {
	return v.values[v.Rows[row].slot*v.view.stride+v.view.takes[f.take].offset]
}

// Sum returns the sum of the values of a histogram, in the unit of the family.
func (v *View) Sum(row int, f *Family) float64 {
	return math.Float64frombits(v.Count(row, f)) / v.view.takes[f.take].scale
}

// Buckets returns how many values fell in each bucket of a histogram, not
// cumulative: one per bound, then +Inf. Their sum is the count.
func (v *View) Buckets(row int, f *Family) []uint64 {
	first := v.Rows[row].slot*v.view.stride + v.view.takes[f.take].first
	return v.values[first : first+len(f.Bounds)+1]
}

// NativeBuckets returns the native buckets of a histogram whose Native is set.
func (v *View) NativeBuckets(row int, f *Family) *Native {
	return &v.natives[v.Rows[row].slot*v.view.natives+v.view.takes[f.take].native]
}

// Exemplars returns the exemplars of a family: one for a counter, one per
// bucket and +Inf for a histogram. Those with Time 0 are none; it is nil if
// none is there.
func (v *View) Exemplars(row int, f *Family) []Exemplar {
	t := &v.view.takes[f.take]
	first := v.Rows[row].exemplar
	if first < 0 || t.exemplar < 0 {
		return nil
	}
	first += t.exemplar
	n := 1
	if f.Kind == Histogram {
		n = len(f.Bounds) + 1
	}
	return v.exemplars[first : first+n]
}
