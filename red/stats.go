package red

import "slices"

// Stats are the table's own figures. Those that count never fall, also when
// series expire and configuration changes.
type Stats struct {
	// Counted is how many entries were consumed. It is true at any time: also of
	// entries in series that are still shown at 0, and once for an entry that
	// several views or a synthesized reporter count.
	Counted uint64
	Views   []ViewStats
	// Capped says how often a label became "overflow" because it had
	// Config.MaxLabelValues values: once per entry, view and label. Labels that
	// never did are not there.
	Capped []LabelCount
}

// ViewStats are the figures of one view.
type ViewStats struct {
	Name       string // http, messages, tcp, spans; with families if a group has several views
	Series     int    // label sets now, overflow series included
	Created    uint64 // series
	Expired    uint64 // series that got no entry for Config.Expiry
	Overflowed uint64 // entries counted in an overflow series
}

// LabelCount is a count by label.
type LabelCount struct {
	Label string
	Count uint64
}

// Stats returns the table's own figures.
func (t *Table) Stats() Stats {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var s Stats
	t.retired.copyTo(&s)
	s.Counted += t.uncounted.Load()
	for _, v := range t.views {
		vs := ViewStats{Name: v.name}
		for i := range v.shards {
			sh := &v.shards[i]
			sh.mu.Lock()
			s.addShard(&vs, v, sh)
			sh.mu.Unlock()
		}
		s.addView(vs, v)
	}
	return s
}

// copyTo makes o equal to s in o's memory.
func (s *Stats) copyTo(o *Stats) {
	o.Counted = s.Counted
	o.Views = append(o.Views[:0], s.Views...)
	o.Capped = append(o.Capped[:0], s.Capped...)
}

// addShard adds a shard, which is locked, of v to vs and s.
func (s *Stats) addShard(vs *ViewStats, v *view, sh *shard) {
	s.Counted += sh.counted
	vs.Series += len(sh.list)
	vs.Overflowed += sh.overflowed
	for i, n := range sh.capped {
		if n > 0 {
			s.addCapped(v.schema.names[i], n)
		}
	}
}

func (s *Stats) addCapped(label string, n uint64) {
	i := slices.IndexFunc(s.Capped, func(c LabelCount) bool { return c.Label == label })
	if i < 0 {
		s.Capped = append(s.Capped, LabelCount{label, n})
		return
	}
	s.Capped[i].Count += n
}

// addView adds v, whose shards are in vs, to what is there of its name.
func (s *Stats) addView(vs ViewStats, v *view) {
	v.admission.mu.Lock()
	vs.Created, vs.Expired = v.admission.created, v.admission.expired
	v.admission.mu.Unlock()
	i := slices.IndexFunc(s.Views, func(o ViewStats) bool { return o.Name == vs.Name })
	if i < 0 {
		s.Views = append(s.Views, vs)
		return
	}
	o := &s.Views[i]
	o.Series += vs.Series
	o.Created += vs.Created
	o.Expired += vs.Expired
	o.Overflowed += vs.Overflowed
}

// retire keeps the figures of v, which ends. The table is locked.
func (t *Table) retire(v *view) {
	vs := ViewStats{Name: v.name}
	for i := range v.shards {
		t.retired.addShard(&vs, v, &v.shards[i])
	}
	vs.Series = 0
	t.retired.addView(vs, v)
}
