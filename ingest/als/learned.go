package als

import (
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// registry holds the workloads that are known by an IP address or a principal,
// learned from the node identifiers of all streams. Where several workloads
// share a key (one service account for all versions, one address behind NAT)
// only the fields on which they agree are known.
//
// Readers take an immutable snapshot; learning publishes a new one, at most
// every publishEvery but for the first.
type registry struct {
	max    int
	expiry time.Duration
	m      *metrics

	mu        sync.Mutex
	facts     map[factKey]*fact
	claims    int // in all facts
	dirty     bool
	published time.Time

	snapshot atomic.Pointer[snapshot]
}

const (
	publishEvery = 250 * time.Millisecond
	maxClaims    = 32 // distinct workloads kept per key
)

type factKind uint8

const (
	factIP factKind = iota
	factPrincipal
)

type factKey struct {
	kind factKind
	key  string // IP address, or SPIFFE ID without the scheme
}

// fact is what was claimed under one key: workloads with the streams that claim
// them.
type fact struct{ claims map[learned]*claim }

// learned is a workload and the service account that it runs under, empty if
// that is not known.
type learned struct {
	w              mesh.Workload
	serviceAccount string
}

type claim struct {
	streams int
	gone    time.Time // when the last stream went
}

// snapshot maps keys to what is known. A generation number says whether a
// snapshot is the one that was read before.
type snapshot struct {
	generation    uint64
	ip, principal map[string]*known
}

type known struct {
	id uint32 // unique in its snapshot, never 0
	learned
}

func newRegistry(cfg LearnedConfig, m *metrics) *registry {
	r := &registry{max: cfg.MaxEntries, expiry: cfg.Expiry, m: m, facts: make(map[factKey]*fact)}
	r.snapshot.Store(new(snapshot))
	return r
}

// learn notes that a stream claims to be w under key, until forget.
func (r *registry) learn(key factKey, w learned, now time.Time) (ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.facts[key]
	if f == nil {
		f = &fact{claims: make(map[learned]*claim, 1)}
	}
	c := f.claims[w]
	if c == nil {
		for old, c := range f.claims { // an address that moved on
			if c.streams == 0 && key.kind == factIP {
				delete(f.claims, old)
				r.claims--
				r.dirty = true
			}
		}
		if len(f.claims) >= maxClaims || r.claims >= r.max {
			r.m.learnedRefused.Inc()
			return false
		}
		if len(f.claims) > 0 {
			r.m.learnedConflicts.Inc()
		}
		c = new(claim)
		f.claims[w] = c
		r.facts[key] = f
		r.claims++
		r.dirty = true
	}
	c.streams++
	r.publish(now, false)
	return true
}

// forget ends a learn.
func (r *registry) forget(key factKey, w learned, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.facts[key]
	if f == nil {
		return
	}
	c := f.claims[w]
	if c == nil {
		return
	}
	if c.streams--; c.streams > 0 {
		return
	}
	c.gone = now
}

// expire removes what no stream has claimed for the expiry, and publishes what
// is due.
func (r *registry) expire(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, f := range r.facts {
		for w, c := range f.claims {
			if c.streams == 0 && now.Sub(c.gone) >= r.expiry {
				delete(f.claims, w)
				r.claims--
				r.dirty = true
			}
		}
		if len(f.claims) == 0 {
			delete(r.facts, key)
		}
	}
	r.publish(now, false)
}

// publishDue publishes what was learned since the last time.
func (r *registry) publishDue(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.publish(now, true)
}

func (r *registry) publish(now time.Time, due bool) {
	if !r.dirty || !due && now.Sub(r.published) < publishEvery {
		return
	}
	r.dirty, r.published = false, now
	s := &snapshot{
		generation: r.snapshot.Load().generation + 1,
		ip:         make(map[string]*known),
		principal:  make(map[string]*known),
	}
	id := uint32(0)
	for key, f := range r.facts {
		id++
		k := &known{id, common(maps.Keys(f.claims))}
		if key.kind == factIP {
			s.ip[key.key] = k
		} else {
			s.principal[key.key] = k
		}
	}
	r.snapshot.Store(s)
}

// size returns how many claims are held.
func (r *registry) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.claims
}

// common returns the fields on which all workloads agree.
func common(ws iter.Seq[learned]) (w learned) {
	first := true
	keep := func(d *string, s string) {
		if *d != s {
			*d = ""
		}
	}
	for x := range ws {
		if first {
			w, first = x, false
			continue
		}
		keep(&w.w.Name, x.w.Name)
		keep(&w.w.Namespace, x.w.Namespace)
		keep(&w.w.CanonicalService, x.w.CanonicalService)
		keep(&w.w.CanonicalRevision, x.w.CanonicalRevision)
		keep(&w.w.Principal, x.w.Principal)
		keep(&w.w.App, x.w.App)
		keep(&w.w.Version, x.w.Version)
		keep(&w.w.Cluster, x.w.Cluster)
		keep(&w.serviceAccount, x.serviceAccount)
	}
	return w
}
