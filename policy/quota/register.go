package quota

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tallygate/tallygate/mesh"
)

const (
	// maxNames bounds the quotas that have figures of their own; the others are
	// counted together as other.
	maxNames  = 256
	otherName = "other"
	// maxSpecs bounds the limits that are told apart, such as the tiers of a quota.
	maxSpecs = 4096
)

// spec is a limit under a name: what many keys have in common.
type spec struct {
	name string
	limit
}

// figures are the books of one name.
type figures struct {
	name string
	// Charges.
	passed, over, shadowOver, near atomic.Uint64
	spared                         atomic.Uint64 // would have passed, but another quota refused
	// Charges by who answered.
	bySource [6]atomic.Uint64
	tokens   atomic.Uint64 // that were taken
}

// register knows names and limits, as many as it may.
type register struct {
	mu    sync.RWMutex
	specs []spec // by number; 0 is none, 1 stands for those beyond the bound
	index map[spec]uint32
	names atomic.Pointer[map[string]*figures] // copied on write, until there are maxNames
	other *figures
}

func newRegister() *register {
	r := &register{specs: make([]spec, 2), index: map[spec]uint32{}, other: &figures{name: otherName}}
	r.specs[1].name = otherName
	r.names.Store(&map[string]*figures{})
	return r
}

// spec returns the number of a limit.
func (r *register) spec(name string, l limit) uint32 {
	key := spec{name, l}
	r.mu.RLock()
	i, ok := r.index[key]
	full := len(r.specs) >= maxSpecs // they are never forgotten
	r.mu.RUnlock()
	switch {
	case ok:
		return i
	case full:
		return 1
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, ok := r.index[key]; ok {
		return i
	}
	if len(r.specs) >= maxSpecs {
		return 1
	}
	key.name = strings.Clone(name) // it may be lent
	i = uint32(len(r.specs))
	r.specs, r.index[key] = append(r.specs, key), i
	return i
}

// at returns the limit with a number.
func (r *register) at(i uint32) spec {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if int(i) >= len(r.specs) {
		return r.specs[1]
	}
	return r.specs[i]
}

// figures returns the books of a name.
func (r *register) figures(name string) *figures {
	known := *r.names.Load()
	if f, ok := known[name]; ok {
		return f
	}
	if len(known) >= maxNames || name == otherName { // names are never forgotten
		return r.other
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := *r.names.Load()
	if f, ok := old[name]; ok {
		return f
	}
	if len(old) >= maxNames {
		return r.other
	}
	names := make(map[string]*figures, len(old)+1)
	for n, f := range old {
		names[n] = f
	}
	f := &figures{name: strings.Clone(name)}
	names[f.name] = f
	r.names.Store(&names)
	return f
}

// all returns the books of all names.
func (r *register) all() []*figures {
	list := []*figures{r.other}
	for _, f := range *r.names.Load() {
		list = append(list, f)
	}
	return list
}

// count adds what became of a charge.
func (f *figures) count(q *mesh.Quota, r *mesh.QuotaResult, taken bool) {
	f.bySource[r.Source].Add(1)
	switch {
	case r.Over && q.Shadow:
		f.shadowOver.Add(1)
	case r.Over:
		f.over.Add(1)
	case !taken:
		f.spared.Add(1)
	default:
		f.passed.Add(1)
		if !q.Refund {
			f.tokens.Add(q.Cost)
		}
		if r.Remaining*5 < r.Limit {
			f.near.Add(1)
		}
	}
}
