package fleet

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Replica is one of those that an answer is made of.
type Replica struct {
	Name    string  `json:"name"` // host:port of its /metrics, as Prometheus' instance
	Version string  `json:"version,omitempty"`
	Covers  float64 `json:"covers_seconds,omitempty"` // less than was asked for if it has not run for so long
	Error   string  `json:"error,omitempty"`          // it did not answer, and why

	err error
}

// Stat is the answer of /api/v1/stat: figures by labels.
type Stat struct {
	Replicas []Replica `json:"replicas"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	By       []string  `json:"by"`
	Bounds   []float64 `json:"bounds,omitempty"` // of the buckets, in milliseconds, without +Inf
	Rows     []Row     `json:"rows"`
}

// Row is a set of label values with its figures.
type Row struct {
	Values []string `json:"values"` // by Stat.By
	Figures
	SeenBy []string `json:"seen_by,omitempty"` // names of replicas
}

// MergeStat adds the answers of several replicas up. The rows come sorted by
// their values. Buckets are kept if keepBuckets is set, for another merge.
func MergeStat(parts []Stat, keepBuckets bool) Stat {
	out := Stat{Rows: []Row{}, Replicas: []Replica{}}
	at := map[string]int{}
	for i := range parts {
		p := &parts[i]
		out.Replicas = append(out.Replicas, p.Replicas...)
		out.span(p.From, p.To)
		if len(out.By) == 0 {
			out.By = p.By
		}
		if len(out.Bounds) == 0 {
			out.Bounds = p.Bounds
		}
		for j := range p.Rows {
			r := &p.Rows[j]
			if !slices.Equal(p.Bounds, out.Bounds) {
				r.Buckets = rebucket(r.Buckets, p.Bounds, out.Bounds)
			}
			key := strings.Join(r.Values, "\x00")
			k, ok := at[key]
			if !ok {
				k = len(out.Rows)
				at[key] = k
				out.Rows = append(out.Rows, Row{Values: r.Values})
			}
			out.Rows[k].Figures.add(&r.Figures)
			out.Rows[k].SeenBy = union(out.Rows[k].SeenBy, r.SeenBy)
		}
	}
	for i := range out.Rows {
		out.Rows[i].finish(out.Bounds, keepBuckets)
	}
	slices.SortFunc(out.Rows, func(a, b Row) int { return slices.Compare(a.Values, b.Values) })
	return out
}

func (s *Stat) span(from, to time.Time) {
	if s.From.IsZero() || !from.IsZero() && from.Before(s.From) {
		s.From = from
	}
	if to.After(s.To) {
		s.To = to
	}
}

// rebucket puts counts of buckets with other bounds where they are not shown
// faster than they were.
func rebucket(counts []uint64, from, to []float64) []uint64 {
	out := make([]uint64, len(to)+1)
	for i, n := range counts {
		j := len(to)
		if i < len(from) {
			j, _ = slices.BinarySearch(to, from[i])
		}
		out[j] += n
	}
	return out
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(slices.Clip(a), s)
		}
	}
	slices.Sort(a)
	return a
}

// MergeReplicas takes one of each name, which is the one that answered if any
// did.
func MergeReplicas(list []Replica) []Replica {
	slices.SortFunc(list, func(a, b Replica) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Error, b.Error)) })
	return slices.CompactFunc(list, func(a, b Replica) bool { return a.Name == b.Name })
}
