package fleet

import (
	"slices"
	"strings"
	"time"
)

// History is the answer of /api/v1/history: figures by labels over time.
type History struct {
	Replicas []Replica   `json:"replicas"`
	By       []string    `json:"by"`
	Step     float64     `json:"step_seconds"`
	Times    []time.Time `json:"times"` // beginnings of the steps
	Bounds   []float64   `json:"bounds,omitempty"`
	Series   []Series    `json:"series"`
}

// Series is a set of label values over time. Rates are per second; what was not
// covered is null.
type Series struct {
	Values []string   `json:"values"`
	ID     string     `json:"id,omitempty"` // of the edge, in a history of edges
	Rate   []*float64 `json:"rate"`
	Errors []*float64 `json:"errors"`
	Denied []*float64 `json:"denied"`
	P95    []*float64 `json:"p95_ms"`

	Points []*Figures `json:"points,omitempty"` // only for a merge
}

// MergeHistory adds the answers of several replicas up. Their steps are the same,
// cut by the clock.
func MergeHistory(parts []History, raw bool) History {
	out := History{Series: []Series{}, Replicas: []Replica{}, Times: []time.Time{}}
	for i := range parts {
		p := &parts[i]
		out.Replicas = append(out.Replicas, p.Replicas...)
		if len(out.By) == 0 {
			out.By = p.By
		}
		if len(out.Bounds) == 0 {
			out.Bounds = p.Bounds
		}
		out.Step = max(out.Step, p.Step)
		out.Times = append(out.Times, p.Times...)
	}
	slices.SortFunc(out.Times, time.Time.Compare)
	out.Times = slices.CompactFunc(out.Times, time.Time.Equal)
	at := map[string]int{}
	for i := range parts {
		p := &parts[i]
		place := make([]int, len(p.Times))
		for j, t := range p.Times {
			place[j], _ = slices.BinarySearchFunc(out.Times, t, time.Time.Compare)
		}
		for j := range p.Series {
			s := &p.Series[j]
			key := strings.Join(s.Values, "\x00")
			k, ok := at[key]
			if !ok {
				k = len(out.Series)
				at[key] = k
				out.Series = append(out.Series, Series{Values: s.Values, ID: s.ID, Points: make([]*Figures, len(out.Times))})
			}
			for n, f := range s.Points {
				if f == nil || n >= len(place) {
					continue
				}
				if !slices.Equal(p.Bounds, out.Bounds) {
					f.Buckets = rebucket(f.Buckets, p.Bounds, out.Bounds)
				}
				to := &out.Series[k].Points[place[n]]
				if *to == nil {
					*to = &Figures{}
				}
				(*to).add(f)
			}
		}
	}
	if raw {
		return out
	}
	for i := range out.Series {
		out.Series[i].finish(out.Bounds)
	}
	return out
}

// finish makes the lines of the points.
func (s *Series) finish(bounds []float64) {
	line := func(of func(*Figures) float64) []*float64 {
		out := make([]*float64, len(s.Points))
		for i, f := range s.Points {
			if f != nil {
				v := of(f)
				out[i] = &v
			}
		}
		return out
	}
	for _, f := range s.Points {
		if f != nil {
			f.finish(bounds, false)
		}
	}
	s.Rate = line(func(f *Figures) float64 { return f.Rate })
	s.Errors = line(func(f *Figures) float64 { return f.ErrorRate })
	s.Denied = line(func(f *Figures) float64 { return f.DeniedRate })
	s.P95 = line(func(f *Figures) float64 { return f.P95 })
	s.Points = nil
}

// FoldHistory makes one line per edge of a raw history by [EdgeLabels], by the
// rule of [Edge].
func FoldHistory(h History) History {
	type folded struct {
		rank   int
		series Series
		denied []*Figures
	}
	order := []string{}
	edges := map[string]*folded{}
	for i := range h.Series {
		s := h.Series[i]
		id := EdgeID(s.Values)
		rank := slices.Index([]string{"", "destination", "waypoint", "source"}, s.Values[len(s.Values)-1])
		f := edges[id]
		if f == nil {
			f = &folded{rank: -2, denied: make([]*Figures, len(h.Times))}
			edges[id] = f
			order = append(order, id)
		}
		if rank > f.rank {
			f.rank, f.series = rank, s
		}
		for n, p := range s.Points {
			if p != nil && (f.denied[n] == nil || p.DeniedRate > f.denied[n].DeniedRate) {
				f.denied[n] = p
			}
		}
	}
	h.Series = []Series{}
	h.By = EdgeLabels[:len(EdgeLabels)-1]
	for _, id := range order {
		f := edges[id]
		s := f.series
		s.ID, s.Values = id, s.Values[:len(s.Values)-1]
		s.finish(h.Bounds)
		for n, p := range f.denied {
			if p != nil {
				v := round(p.DeniedRate)
				s.Denied[n] = &v
			}
		}
		h.Series = append(h.Series, s)
	}
	h.Bounds = nil
	return h
}
