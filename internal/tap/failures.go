package tap

import (
	"slices"
	"sync"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// failures are the last failed and denied entries of every edge.
type failures struct {
	mu    sync.Mutex
	edges map[edge]*ring
	// enough are edges that had their share of this second: in a storm of errors
	// they need no lock.
	enough edgeMemo[int64]
}

// edge tells who called whom, to what service, and which end says so.
type edge struct {
	source, destination mesh.Peer
	service             mesh.Service
	reporter            mesh.Reporter
}

// ring is the last entries of an edge, the oldest overwritten first. It is
// guarded by failures.mu but for add.
type ring struct {
	second int64 // that the budget is of
	left   int
	last   time.Time

	mu   sync.Mutex
	list []*Entry
	next int
}

// failuresPerSecond is how many entries of an edge are kept in a second: a storm
// of errors costs a look into a memo, and does not take the place of all that
// came before.
const failuresPerSecond = 2

// admit returns the ring that e belongs in, nil if there were enough.
func (f *failures) admit(cfg *Config, e *mesh.Entry, now time.Time) *ring {
	k := edge{e.Source, e.Destination, e.Service, e.Reporter}
	s := now.Unix()
	if second, ok := f.enough.get(k); ok && second == s {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.edges[k]
	if r == nil {
		if len(f.edges) >= cfg.MaxEdges {
			f.makeRoom()
		}
		r = &ring{}
		f.edges[k] = r
	}
	if r.second != s {
		r.second, r.left = s, failuresPerSecond
	}
	if r.left == 0 {
		return nil
	}
	if r.left--; r.left == 0 {
		f.enough.put(k, s)
	}
	r.last = now
	return r
}

// makeRoom forgets the edges that have been well for longest, a tenth of them:
// finding them takes a while.
func (f *failures) makeRoom() {
	keys := make([]edge, 0, len(f.edges))
	for k := range f.edges {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b edge) int { return f.edges[a].last.Compare(f.edges[b].last) })
	for _, k := range keys[:len(keys)/10+1] {
		delete(f.edges, k)
	}
}

func (r *ring) add(e *Entry, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) > size { // it was larger before a reload
		r.list, r.next = r.list[len(r.list)-size:], 0
	}
	if len(r.list) < size {
		r.list = append(r.list, e)
		return
	}
	r.list[r.next%size] = e
	r.next = (r.next + 1) % size
}

// Failures returns the failures and denials that pass f, the newest first, at
// most limit.
func (t *Tap) Failures(f Filter, limit int) []*Entry {
	t.failures.mu.Lock()
	rings := make([]*ring, 0, len(t.failures.edges))
	for _, r := range t.failures.edges {
		rings = append(rings, r)
	}
	t.failures.mu.Unlock()
	var out []*Entry
	for _, r := range rings {
		r.mu.Lock()
		for _, e := range r.list {
			if f.shows(e) {
				out = append(out, e)
			}
		}
		r.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b *Entry) int { return b.Time.Compare(a.Time) })
	return out[:min(limit, len(out))]
}

// Find returns the failure or denial of an ID.
func (t *Tap) Find(id string) (*Entry, bool) {
	t.failures.mu.Lock()
	defer t.failures.mu.Unlock()
	for _, r := range t.failures.edges {
		r.mu.Lock()
		i := slices.IndexFunc(r.list, func(e *Entry) bool { return e.ID == id })
		var e *Entry
		if i >= 0 {
			e = r.list[i]
		}
		r.mu.Unlock()
		if e != nil {
			return e, true
		}
	}
	return nil, false
}
