package red

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Snapshot fills s. It holds the lock of one shard at a time, for some
// microseconds.
func (t *Table) Snapshot(s *Snapshot) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s.Time = time.Now()
	t.retired.copyTo(&s.Stats)
	s.Stats.Counted += t.uncounted.Load()

	held := int64(math.MaxInt64) // series created after it are held
	if t.cfg.ZeroFor > 0 && !s.Raw && !t.reveal.Load() {
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
		s.addShard(&v.shards[i], stats, &vs, held)
	}
	stats.addView(vs, v)
	slices.SortFunc(s.Rows, func(a, b Row) int { return cmp.Compare(a.Series.ID, b.Series.ID) })
}

func (s *View) addShard(sh *shard, stats *Stats, vs *ViewStats, held int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for {
		n := sh.need(s.view)
		if s.fits(n) {
			break
		}
		// Not under the lock: it can take long.
		sh.mu.Unlock()
		s.grow(n)
		sh.mu.Lock()
	}
	for _, row := range sh.list {
		s.add(row, held)
	}
	stats.addShard(vs, s.view, sh)
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

// fits reports whether there is room for n.
func (s *View) fits(n need) bool {
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
