package red

import (
	"cmp"
	"math"
	"slices"
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
// microseconds apart. Stats.Counted is taken with the rows: without excluded
// labels, reporters that are synthesized, expired series and series that are
// held, it is the sum of all request counters, plus the TCP entries.
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

// Snapshot fills s. It holds the lock of one shard at a time, for some
// microseconds.
func (t *Table) Snapshot(s *Snapshot) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s.Time = time.Now()
	t.retired.copyTo(&s.Stats)
	s.Stats.Counted += t.uncounted.Load()

	held := int64(math.MaxInt64) // series created after it are held
	if !s.Raw && !t.reveal.Load() {
		held = s.Time.Add(-t.cfg.ZeroFor).UnixNano()
	}
	s.Views = slices.Grow(s.Views[:0], len(t.views))[:len(t.views)]
	for i, v := range t.views {
		s.Views[i].fill(&s.Stats, v, held)
	}
}

// fill makes s the copy of v.
func (s *View) fill(stats *Stats, v *view, held int64) {
	if s.view != v {
		*s = View{Labels: v.schema.names, view: v}
		for i := range v.takes {
			s.Families = append(s.Families, v.takes[i].family)
		}
	}
	s.Name = v.name
	clear(s.Rows)
	s.Rows = s.Rows[:0]
	s.values = s.values[:0]
	s.exemplars = s.exemplars[:0]
	s.natives = s.natives[:0]
	s.counts = s.counts[:0]
	vs := ViewStats{Name: v.name}
	for i := range v.shards {
		sh := &v.shards[i]
		sh.mu.Lock()
		for !s.fits(sh) {
			need := sh.need(v)
			sh.mu.Unlock()
			s.grow(need)
			sh.mu.Lock()
		}
		for _, row := range sh.list {
			s.add(row, held)
		}
		stats.addShard(&vs, v, sh)
		sh.mu.Unlock()
	}
	stats.addView(vs, v)
	slices.SortFunc(s.Rows, func(a, b Row) int { return cmp.Compare(a.Series.ID, b.Series.ID) })
}

// need is the memory that a shard takes in a View, by slice.
type need struct{ rows, values, exemplars, natives, counts int }

func (sh *shard) need(v *view) need {
	n := need{
		rows:    len(sh.list),
		values:  len(sh.list) * v.stride,
		natives: len(sh.list) * v.natives,
	}
	if v.exemplars == 0 && v.natives == 0 {
		return n
	}
	for _, row := range sh.list {
		n.exemplars += len(row.exemplars)
		for i := range row.native {
			n.counts += len(row.native[i].Counts)
		}
	}
	return n
}

// fits reports whether sh, which is locked, can be added without an allocation,
// which would take long under the lock.
func (s *View) fits(sh *shard) bool {
	n := sh.need(s.view)
	return cap(s.Rows)-len(s.Rows) >= n.rows &&
		cap(s.values)-len(s.values) >= n.values &&
		cap(s.exemplars)-len(s.exemplars) >= n.exemplars &&
		cap(s.natives)-len(s.natives) >= n.natives &&
		cap(s.counts)-len(s.counts) >= n.counts
}

func (s *View) grow(n need) {
	s.Rows = slices.Grow(s.Rows, n.rows)
	s.values = slices.Grow(s.values, n.values)
	s.exemplars = slices.Grow(s.exemplars, n.exemplars)
	s.natives = slices.Grow(s.natives, n.natives)
	if cap(s.counts)-len(s.counts) < n.counts {
		// The Counts of natives are slices of counts: they move along.
		old := s.counts
		s.counts = slices.Grow(s.counts, n.counts)
		at := 0
		for i := range s.natives {
			n := len(s.natives[i].Counts)
			s.natives[i].Counts = s.counts[:len(old)][at : at+n : at+n]
			at += n
		}
	}
}

// add copies a series, whose shard is locked.
func (s *View) add(from *series, held int64) {
	row := Row{Series: &from.Series, slot: len(s.Rows), exemplar: -1}
	row.Held = from.Created.UnixNano() > held
	s.Rows = append(s.Rows, row)
	if row.Held {
		s.values = append(s.values, make([]uint64, len(from.values))...)
		for i := range from.native {
			s.natives = append(s.natives, Native{Schema: from.native[i].Schema})
		}
		return
	}
	s.values = append(s.values, from.values...)
	for i := range from.native {
		n := from.native[i]
		at := len(s.counts)
		s.counts = append(s.counts, n.Counts...)
		n.Counts = s.counts[at:len(s.counts):len(s.counts)]
		s.natives = append(s.natives, n)
	}
	if from.exemplars != nil {
		s.Rows[row.slot].exemplar = len(s.exemplars)
		s.exemplars = append(s.exemplars, from.exemplars...)
	}
}
