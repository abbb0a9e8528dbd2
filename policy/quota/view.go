package quota

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// View is one quota as people see it.
type View struct {
	Name       string      `json:"name"`
	Limits     []LimitView `json:"limits"` // more than one if it has tiers
	Keys       int         `json:"keys"`   // that are not full
	Near       int         `json:"near"`   // of those, with less than a fifth left
	Passed     uint64      `json:"passed"` // charges since the start
	Over       uint64      `json:"over"`
	ShadowOver uint64      `json:"shadow_over"`
	Overflow   uint64      `json:"overflow"`
	Failed     uint64      `json:"failed"` // answered by on_error
	Tokens     uint64      `json:"tokens"`
}

// LimitView is a limit.
type LimitView struct {
	Limit     uint64 `json:"limit"`
	Per       string `json:"per"`
	Burst     uint64 `json:"burst"`
	Algorithm string `json:"algorithm"`
}

// String says it as people write it.
func (v LimitView) String() string {
	s := fmt.Sprintf("%d/%s", v.Limit, v.Per)
	if v.Burst != v.Limit {
		s += fmt.Sprintf(" burst %d", v.Burst)
	}
	if v.Algorithm != mesh.GCRA.String() {
		s += " " + v.Algorithm
	}
	return s
}

// KeyView is one key of a quota.
type KeyView struct {
	Name string `json:"name"`
	Key  string `json:"key"` // its beginning
	LimitView
	Remaining uint64  `json:"remaining"`
	Used      float64 `json:"used"`  // of what there is at once, 0 to 1
	Reset     string  `json:"reset"` // until it is full
	Charges   uint64  `json:"charges"`
	Over      uint64  `json:"over"`
	Lease     *Lease  `json:"lease,omitempty"` // with Redis
}

// Lease is what this replica holds of a key that a fleet shares.
type Lease struct {
	Left uint64 `json:"left"`
	Ends string `json:"ends"` // in how long
}

func viewOf(p *spec) LimitView {
	return LimitView{Limit: p.n, Per: short(time.Duration(p.per)), Burst: p.burst, Algorithm: p.algorithm.String()}
}

// short is d without the zeros that Go writes: 1h, not 1h0m0s.
func short(d time.Duration) string {
	switch {
	case d >= 24*time.Hour && d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

func (l *Limiter) keyView(now int64, k *slot) KeyView {
	p := l.register.at(k.spec)
	v := KeyView{Name: p.name, Key: k.key(), LimitView: viewOf(&p), Charges: uint64(k.charges), Over: uint64(k.over)}
	if p.n == 0 { // beyond the bound: nothing is known of its limit
		return v
	}
	_, r := spend(now, &p.limit, k.state, 0)
	v.Remaining, v.Reset = r.Remaining, r.Reset.Round(time.Millisecond).String()
	v.Used = 1 - float64(r.Remaining)/float64(p.burst)
	return v
}

// List returns every quota that was charged since the start, by name.
func (l *Limiter) List() []View {
	now := l.now()
	views := map[string]*View{}
	for _, f := range l.register.all() {
		v := &View{
			Name: f.name, Limits: []LimitView{}, Passed: f.passed.Load(), Over: f.over.Load(), ShadowOver: f.shadowOver.Load(), Tokens: f.tokens.Load(),
			Overflow: f.bySource[mesh.QuotaOverflow].Load(), Failed: f.bySource[mesh.QuotaFailed].Load(),
		}
		if f != l.register.other || v.Passed+v.Over+v.ShadowOver > 0 {
			views[f.name] = v
		}
	}
	l.register.mu.RLock()
	specs := l.register.specs
	l.register.mu.RUnlock()
	for i := range specs {
		if v := views[specs[i].name]; v != nil && specs[i].n > 0 {
			v.Limits = append(v.Limits, viewOf(&specs[i]))
		}
	}
	l.source.scan(now, func(k *slot) {
		p := &specs[min(int(k.spec), len(specs)-1)]
		v := views[p.name]
		if v == nil || p.n == 0 {
			return
		}
		v.Keys++
		if _, r := spend(now, &p.limit, k.state, 0); r.Remaining*5 < p.burst {
			v.Near++
		}
	})
	list := make([]View, 0, len(views))
	for _, v := range views {
		list = append(list, *v)
	}
	slices.SortFunc(list, func(a, b View) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// scan calls f with every key that is not idle.
func (s *local) scan(now int64, f func(*slot)) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.Lock()
		for j := range sh.slots {
			if k := &sh.slots[j]; k.spec != 0 && !k.idle(now) {
				f(k)
			}
		}
		sh.Unlock()
	}
}

// Orders of Top.
const (
	ByUsed    = "used" // share of the limit: who is near
	ByCharges = "charges"
	ByOver    = "over"
)

// Top returns the first n keys in an order, of one quota or, if name is empty,
// of all.
func (l *Limiter) Top(name, by string, n int) ([]KeyView, error) {
	var rank func(*spec, *slot) float64
	now := l.now()
	switch by {
	case ByUsed:
		rank = func(p *spec, k *slot) float64 {
			_, r := spend(now, &p.limit, k.state, 0)
			return 1 - float64(r.Remaining)/float64(p.burst)
		}
	case ByCharges:
		rank = func(_ *spec, k *slot) float64 { return float64(k.charges) + float64(k.over) }
	case ByOver:
		rank = func(_ *spec, k *slot) float64 { return float64(k.over) }
	default:
		return nil, fmt.Errorf("by: %q is none of %s, %s, %s", by, ByUsed, ByCharges, ByOver)
	}
	l.register.mu.RLock()
	specs := l.register.specs
	l.register.mu.RUnlock()
	h := &ranking{}
	l.source.scan(now, func(k *slot) {
		p := &specs[min(int(k.spec), len(specs)-1)]
		if p.n == 0 || name != "" && p.name != name {
			return
		}
		h.offer(ranked{rank(p, k), *k}, n)
	})
	slices.SortFunc(*h, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(b.charges, a.charges), cmp.Compare(a.key(), b.key()))
	})
	views := make([]KeyView, 0, len(*h))
	for i := range *h {
		views = append(views, l.keyView(now, &(*h)[i].slot))
	}
	return views, nil
}

type ranked struct {
	rank float64
	slot
}

// ranking is a heap with the least on top.
type ranking []ranked

func (h ranking) Len() int           { return len(h) }
func (h ranking) Less(i, j int) bool { return h[i].rank < h[j].rank }
func (h ranking) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *ranking) Push(x any)        { *h = append(*h, x.(ranked)) }
func (h *ranking) Pop() any          { x := (*h)[len(*h)-1]; *h = (*h)[:len(*h)-1]; return x }

func (h *ranking) offer(r ranked, most int) {
	switch {
	case len(*h) < most:
		heap.Push(h, r)
	case most > 0 && r.rank > (*h)[0].rank:
		(*h)[0] = r
		heap.Fix(h, 0)
	}
}
