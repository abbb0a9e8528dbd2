package storage

import (
	"cmp"
	"slices"
	"sync"

	"github.com/tallygate/tallygate/jaegermodel"
)

// Dependency is how often one service called another.
type Dependency struct {
	Parent, Child string
	Calls         uint64
}

// Edges counts calls between services from the spans that pass by, as Jaeger
// does when it looks at whole traces: every span whose parent is known is a
// call from the parent's service to its own, calls within a service included.
// Parent and child may come in any order and in different batches, but no
// further apart than about limit spans: the memory is bounded, and what comes
// later is not counted. A span that comes again is not counted again.
type Edges struct {
	mu       sync.Mutex
	limit    int
	now, old generation
	counts   map[edge]uint64
}

type edge struct{ parent, child string }

type spanKey struct {
	trace jaegermodel.TraceID
	span  jaegermodel.SpanID
}

// generation is the spans of a stretch of time; there are two, so that the older
// can be forgotten as a whole.
type generation struct {
	services map[spanKey]string   // who made the span
	waiting  map[spanKey][]string // services of children whose parent has not come
	size     int
}

func newGeneration() generation {
	return generation{services: map[spanKey]string{}, waiting: map[spanKey][]string{}}
}

// NewEdges returns a counter that remembers between limit and 2*limit spans.
func NewEdges(limit int) *Edges {
	return &Edges{limit: limit, now: newGeneration(), old: newGeneration(), counts: map[edge]uint64{}}
}

// Observe counts what the spans tell.
func (e *Edges) Observe(spans []*jaegermodel.Span) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range spans {
		e.observe(s)
	}
}

func (e *Edges) observe(s *jaegermodel.Span) {
	if e.now.size >= e.limit {
		e.old, e.now = e.now, newGeneration()
	}
	key := spanKey{s.TraceID, s.SpanID}
	service := s.Process.Service
	if known, ok := e.service(key); ok && known == service {
		return
	}
	e.now.services[key] = service
	e.now.size++
	for _, g := range []*generation{&e.now, &e.old} {
		for _, child := range g.waiting[key] {
			e.counts[edge{service, child}]++
		}
		delete(g.waiting, key)
	}
	parent := s.Parent()
	if parent == 0 {
		return
	}
	key.span = parent
	if known, ok := e.service(key); ok {
		e.counts[edge{known, service}]++
		return
	}
	e.now.waiting[key] = append(e.now.waiting[key], service)
}

func (e *Edges) service(key spanKey) (string, bool) {
	if s, ok := e.now.services[key]; ok {
		return s, true
	}
	s, ok := e.old.services[key]
	return s, ok
}

// Counted returns what was counted and not yet taken.
func (e *Edges) Counted() []Dependency {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.list()
}

// Take returns what was counted and begins anew.
func (e *Edges) Take() []Dependency {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := e.list()
	clear(e.counts)
	return list
}

// Restore adds what was taken and could not be written.
func (e *Edges) Restore(list []Dependency) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range list {
		e.counts[edge{d.Parent, d.Child}] += d.Calls
	}
}

func (e *Edges) list() []Dependency {
	list := make([]Dependency, 0, len(e.counts))
	for k, n := range e.counts {
		list = append(list, Dependency{k.parent, k.child, n})
	}
	return SumDependencies(list)
}

// SumDependencies adds up equal edges and sorts them.
func SumDependencies(list []Dependency) []Dependency {
	slices.SortFunc(list, func(a, b Dependency) int {
		return cmp.Or(cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Child, b.Child))
	})
	out := list[:0]
	for _, d := range list {
		if n := len(out); n > 0 && out[n-1].Parent == d.Parent && out[n-1].Child == d.Child {
			out[n-1].Calls += d.Calls
			continue
		}
		out = append(out, d)
	}
	return out
}
