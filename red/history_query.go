package red

import (
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// HistoryQuery asks a [History].
type HistoryQuery struct {
	By    []string      // labels to group by
	Where []LabelMatch  // all must hold
	Since time.Duration // how far back; at most an hour
	Until time.Time     // zero is now
	Each  bool          // every step by itself, too
}

// LabelMatch wants a label to have one of the values, or none of them.
type LabelMatch struct {
	Label  string
	Values []string // "*" at an end stands for anything
	Not    bool
}

// HistoryResult is the answer of a [History].
type HistoryResult struct {
	From, To time.Time // what the figures cover; less than was asked for if there is less
	Bounds   []float64 // of Figures.Buckets, in milliseconds, without +Inf
	Steps    []time.Time
	Groups   []HistoryGroup
}

// HistoryGroup is what label sets with the same values of HistoryQuery.By
// counted.
type HistoryGroup struct {
	Values []string
	Total  Figures
	Steps  []Figures // if asked for, by HistoryResult.Steps
}

// Figures are sums over label sets and time. HTTP includes gRPC.
type Figures struct {
	Requests      uint64   // HTTP
	Errors        uint64   // of them by the rule of [mesh.Entry.IsError]
	Denied        uint64   // of them refused by ext_authz or a rate limit
	Nanos         uint64   // sum of their durations
	Buckets       []uint64 // of their durations
	RequestBytes  uint64
	ResponseBytes uint64

	Sent, Received uint64 // TCP bytes
	Opened, Closed uint64 // TCP connections
}

// deniedFlags mark a request that was refused on purpose: by ext_authz, by a
// rate limit.
const deniedFlags = mesh.Flags(1)<<11 | 1<<12 // RL, UAEX

// Query sums up what q asks for. It keeps no entry from being counted.
func (h *History) Query(q HistoryQuery) HistoryResult {
	h.mu.Lock()
	dict := slices.Clone(h.dict)
	fine, coarse, began := h.fine, h.coarse, h.began
	h.mu.Unlock()

	steps := pick(fine, coarse, q)
	r := HistoryResult{From: began, To: began}
	if len(steps) == 0 {
		return r
	}
	r.From, r.To = steps[0].from, steps[len(steps)-1].to
	a := &historyAnswer{q: &q, r: &r, dict: dict, groupOf: make([]int32, len(dict)), byValues: map[string]int32{}}
	for i, s := range steps {
		r.Steps = append(r.Steps, s.to)
		eachRecord(s.data, func(index uint32, f *figures) { a.add(i, index, f) })
	}
	if !q.Each {
		r.Steps = nil
	}
	return r
}

// pick returns the steps that q covers: the fine ones, or for longer times the
// coarse ones and what is newer than they.
func pick(fine, coarse []block, q HistoryQuery) []block {
	until := q.Until
	if until.IsZero() && len(fine) > 0 {
		until = fine[len(fine)-1].to
	}
	// Half a step of slack: ticks are late by some milliseconds.
	from := until.Add(-q.Since - HistoryStep/2)
	var steps []block
	if len(coarse) > 0 && q.Since > historyFine*HistoryStep-HistoryCoarse {
		last := coarse[len(coarse)-1].to
		steps = append(steps, coarse...)
		fine = slices.DeleteFunc(slices.Clone(fine), func(b block) bool { return b.from.Before(last) })
	}
	steps = append(steps, fine...)
	return slices.DeleteFunc(slices.Clone(steps), func(b block) bool { return b.from.Before(from) || b.to.After(until) })
}

// historyAnswer is an answer in the making.
type historyAnswer struct {
	q        *HistoryQuery
	r        *HistoryResult
	dict     []*identity
	groupOf  []int32 // by index: 0 not looked at yet, -1 not wanted, else the group plus 1
	byValues map[string]int32
}

func (a *historyAnswer) add(step int, index uint32, f *figures) {
	if int(index) >= len(a.dict) || a.dict[index] == nil {
		return
	}
	id := a.dict[index]
	g := a.groupOf[index]
	if g == 0 {
		g = a.group(id)
		a.groupOf[index] = g
	}
	if g < 0 {
		return
	}
	if a.r.Bounds == nil && len(f.buckets) > 0 {
		a.r.Bounds = id.bounds
	}
	group := &a.r.Groups[g-1]
	group.Total.add(id, f)
	if !a.q.Each {
		return
	}
	if short := step + 1 - len(group.Steps); short > 0 {
		group.Steps = append(group.Steps, make([]Figures, short)...)
	}
	group.Steps[step].add(id, f)
}

// group returns the group of a label set plus 1, -1 if it is not wanted.
func (a *historyAnswer) group(id *identity) int32 {
	value := func(name string) string {
		for i, l := range id.schema.labels {
			if id.schema.names[i] == name {
				return labelValue(&id.key, l)
			}
		}
		return ""
	}
	for _, m := range a.q.Where {
		if m.matches(value(m.Label)) == m.Not {
			return -1
		}
	}
	values := make([]string, len(a.q.By))
	for i, name := range a.q.By {
		values[i] = value(name)
	}
	joined := strings.Join(values, "\x00")
	g, ok := a.byValues[joined]
	if !ok {
		a.r.Groups = append(a.r.Groups, HistoryGroup{Values: values})
		g = int32(len(a.r.Groups))
		a.byValues[joined] = g
	}
	return g
}

func (m *LabelMatch) matches(value string) bool {
	return slices.ContainsFunc(m.Values, func(p string) bool { return MatchWildcard(p, value) })
}

// MatchWildcard reports whether value is pattern, in which "*" at an end stands
// for anything.
func MatchWildcard(pattern, value string) bool {
	p, before := strings.CutPrefix(pattern, "*")
	p, after := strings.CutSuffix(p, "*")
	switch {
	case before && after:
		return strings.Contains(value, p)
	case before:
		return strings.HasSuffix(value, p)
	case after:
		return strings.HasPrefix(value, p)
	}
	return value == p
}

func (t *Figures) add(id *identity, f *figures) {
	k := &id.key
	n := f.counts[countRequests]
	if k.protocol() == mesh.ProtocolTCP {
		n = 0
	}
	t.Requests += n
	// Without the code in the labels nobody can tell.
	e := mesh.Entry{Protocol: k.protocol(), Code: k.code(), GRPCStatus: k.status()}
	if id.schema.set.has(labelID(mesh.LabelResponseCode)) && k.code() != codeOverflow && e.IsError() {
		t.Errors += n
	}
	if k.flags&deniedFlags != 0 && k.flags != flagsOverflow {
		t.Denied += n
	}
	t.Nanos += f.counts[countNanos]
	t.addBuckets(f.buckets)
	t.RequestBytes += f.counts[countRequestBytes]
	t.ResponseBytes += f.counts[countResponseBytes]
	t.Sent += f.counts[countSent]
	t.Received += f.counts[countReceived]
	t.Opened += f.counts[countOpened]
	t.Closed += f.counts[countClosed]
}

// Add adds o.
func (t *Figures) Add(o *Figures) {
	t.Requests += o.Requests
	t.Errors += o.Errors
	t.Denied += o.Denied
	t.Nanos += o.Nanos
	t.addBuckets(o.Buckets)
	t.RequestBytes += o.RequestBytes
	t.ResponseBytes += o.ResponseBytes
	t.Sent += o.Sent
	t.Received += o.Received
	t.Opened += o.Opened
	t.Closed += o.Closed
}

func (t *Figures) addBuckets(b []uint64) {
	if n := len(b) - len(t.Buckets); n > 0 {
		t.Buckets = append(t.Buckets, make([]uint64, n)...)
	}
	for i, n := range b {
		t.Buckets[i] += n
	}
}

// LabelNames returns the labels that a query may group by.
func (h *History) LabelNames() []string {
	t := h.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	var names []string
	for _, v := range t.views {
		if v.group != groupHTTP && v.group != groupTCP {
			continue
		}
		for _, name := range v.schema.names {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}
