package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/red"
)

// statSince is how far back figures go if nobody says.
const statSince = 15 * time.Second

// stat answers /api/v1/stat.
func (a *API) stat(r *http.Request) (any, error) {
	q := r.URL.Query()
	by, err := a.resolve("by", split(q.Get("by")))
	if err != nil {
		return nil, err
	}
	self := func() (fleet.Stat, error) { return a.ownStat(q, by) }
	if own(q) {
		return self()
	}
	if _, err := self(); err != nil { // not worth asking the others
		return nil, err
	}
	return fleet.AskStat(r.Context(), a.sources(r.Context(), answer(self)), q)
}

// edges answers /api/v1/edges: of this replica alone, a Stat by
// [fleet.EdgeLabels].
func (a *API) edges(r *http.Request) (any, error) {
	q := r.URL.Query()
	self := func() (fleet.Stat, error) { return a.ownStat(q, fleet.EdgeLabels) }
	if own(q) {
		return self()
	}
	if _, err := self(); err != nil {
		return nil, err
	}
	return fleet.AskEdges(r.Context(), a.sources(r.Context(), answer(self)), q)
}

func (a *API) ownStat(q url.Values, by []string) (fleet.Stat, error) {
	since, err := parseSince(q, statSince)
	if err != nil {
		return fleet.Stat{}, err
	}
	where, err := a.parseWhere(q)
	if err != nil {
		return fleet.Stat{}, err
	}
	res := a.opts.History.Query(red.HistoryQuery{By: by, Where: where, Since: since})
	covered := res.To.Sub(res.From)
	self := a.opts.Self()
	self.Covers = covered.Seconds()
	s := fleet.Stat{Replicas: []fleet.Replica{self}, From: res.From, To: res.To, By: by, Bounds: res.Bounds, Rows: []fleet.Row{}}
	for _, g := range res.Groups {
		s.Rows = append(s.Rows, fleet.Row{Values: g.Values, Figures: fleet.FiguresOf(&g.Total, covered), SeenBy: []string{self.Name}})
	}
	return s, nil
}

// history answers /api/v1/history. by=edge is one line per edge; edge=<id>,
// which repeats, leaves the others out.
func (a *API) history(r *http.Request) (any, error) {
	q := r.URL.Query()
	self := func() (fleet.History, error) { return a.ownHistory(q) }
	if own(q) {
		return self()
	}
	if _, err := self(); err != nil {
		return nil, err
	}
	return fleet.AskHistory(r.Context(), a.sources(r.Context(), answer(self)), q)
}

func (a *API) ownHistory(q url.Values) (h fleet.History, err error) {
	since, err := parseSince(q, time.Hour)
	if err != nil {
		return h, err
	}
	where, err := a.parseWhere(q)
	if err != nil {
		return h, err
	}
	by := fleet.EdgeLabels
	if q.Get("by") != "edge" {
		if by, err = a.resolve("by", split(q.Get("by"))); err != nil {
			return h, err
		}
	}
	points := 60
	if text := q.Get("points"); text != "" {
		if points, err = strconv.Atoi(text); err != nil || points < 2 || points > 120 {
			return h, badRequest{fmt.Errorf("points=%s: want a number from 2 to 120", text)}
		}
	}
	res := a.opts.History.Query(red.HistoryQuery{By: by, Where: where, Since: since, Each: true})
	step := max(since/time.Duration(points), red.HistoryStep)
	if since > 5*time.Minute {
		step = max(step, red.HistoryCoarse)
	}
	return cut(res, by, step.Truncate(red.HistoryStep), a.opts.Self(), q["edge"]), nil
}

// cut puts the steps of an answer into steps by the clock, which are the same at
// every replica.
func cut(res red.HistoryResult, by []string, step time.Duration, self fleet.Replica, edges []string) fleet.History {
	self.Covers = res.To.Sub(res.From).Seconds()
	h := fleet.History{Replicas: []fleet.Replica{self}, By: by, Step: step.Seconds(), Bounds: res.Bounds, Series: []fleet.Series{}}
	cells := make([]int, len(res.Steps)) // by step
	var covered []time.Duration          // by cell
	from := res.From
	for i, to := range res.Steps {
		cell := from.Add(to.Sub(from) / 2).Truncate(step).UTC()
		if n := len(h.Times); n == 0 || !h.Times[n-1].Equal(cell) {
			h.Times = append(h.Times, cell)
			covered = append(covered, 0)
		}
		cells[i] = len(h.Times) - 1
		covered[cells[i]] += to.Sub(from)
		from = to
	}
	for _, g := range res.Groups {
		s := fleet.Series{Values: g.Values}
		if len(by) == len(fleet.EdgeLabels) {
			s.ID = fleet.EdgeID(g.Values)
			if len(edges) > 0 && !slices.Contains(edges, s.ID) {
				continue
			}
		}
		sums := make([]red.Figures, len(h.Times))
		for i := range g.Steps {
			sums[cells[i]].Add(&g.Steps[i])
		}
		for i := range sums {
			f := fleet.FiguresOf(&sums[i], covered[i])
			s.Points = append(s.Points, &f)
		}
		h.Series = append(h.Series, s)
	}
	return h
}

// labels answers /api/v1/labels: what figures can be asked by.
func (a *API) labels(*http.Request) (any, error) {
	return map[string]any{"labels": a.opts.History.LabelNames(), "short": shortLabels}, nil
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}
