package spans

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tallygate/tallygate/mesh"
)

// edgeKey is one side of the requests from one workload to another.
type edgeKey struct {
	source, destination mesh.Peer
	reporter            mesh.Reporter
}

// hash is of the handles, which are pointers to values that are there once and do
// not move: far cheaper than of what they stand for, and every request asks.
func (k *edgeKey) hash() uint64 {
	source, destination := *(*uintptr)(unsafe.Pointer(&k.source)), *(*uintptr)(unsafe.Pointer(&k.destination))
	h := (uint64(source)*0x9e3779b97f4a7c15 ^ uint64(destination)) * 0xc2b2ae3d27d4eb4f
	return h>>32 ^ uint64(k.reporter)
}

// edge is what is learned of an edge. Its fields are written without a lock: a
// lost update is one request less to learn from.
type edge struct {
	key  edgeKey
	p99  atomic.Uint64 // packed
	last atomic.Int64  // Unix nanoseconds, to the second
}

// begin returns the estimate for a run of requests of the edge.
func (e *edge) begin() p99 {
	if e == nil {
		return p99{}
	}
	return unpack(e.p99.Load())
}

// end keeps what came of the estimate.
func (e *edge) end(p p99, now int64) {
	if e != nil {
		e.p99.Store(p.pack())
		if now-e.last.Load() > int64(time.Second) {
			e.last.Store(now)
		}
	}
}

const (
	edgeSlots  = 1 << 15
	edgeWays   = 8
	edgeExpiry = time.Hour
)

// edges is a table of fixed size. An edge that finds no room is not learned from.
type edges struct {
	slots [edgeSlots]atomic.Pointer[edge]

	mu    sync.RWMutex
	peers map[mesh.Peer]role
}

// role is a set of what a workload was seen to do.
type role uint8

const (
	roleServes role = 1 << iota
	roleReports
)

func newEdges() *edges { return &edges{peers: map[mesh.Peer]role{}} }

// find returns the edge of a key, nil if there is no room for it.
func (t *edges) find(k edgeKey, now int64) *edge {
	base := k.hash() % (edgeSlots / edgeWays) * edgeWays
	free := -1
	for i := range edgeWays {
		e := t.slots[base+uint64(i)].Load()
		if e == nil {
			if free < 0 {
				free = i
			}
		} else if e.key == k {
			return e
		}
	}
	t.learn(k)
	if free < 0 {
		return nil
	}
	e := &edge{key: k}
	e.last.Store(now)
	if !t.slots[base+uint64(free)].CompareAndSwap(nil, e) {
		return nil // until the next time
	}
	return e
}

// learn notes who serves and who reports.
func (t *edges) learn(k edgeKey) {
	peer, r := k.destination, roleServes
	switch k.reporter {
	case mesh.ReporterSource:
		peer, r = k.source, roleReports
	case mesh.ReporterDestination:
	default:
		return
	}
	if peer.Value().Name == mesh.Unknown {
		return
	}
	t.mu.RLock()
	known := t.peers[peer]&r != 0 || len(t.peers) >= edgeSlots
	t.mu.RUnlock()
	if known {
		return
	}
	t.mu.Lock()
	t.peers[peer] |= r
	t.mu.Unlock()
}

func (t *edges) serves(p mesh.Peer) bool  { return t.is(p, roleServes) }
func (t *edges) reports(p mesh.Peer) bool { return t.is(p, roleReports) }

func (t *edges) is(p mesh.Peer, r role) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.peers[p]&r != 0
}

// expire forgets edges without requests for an hour, and what only they told.
func (t *edges) expire(now time.Time) {
	oldest := now.Add(-edgeExpiry).UnixNano()
	live := map[edgeKey]bool{}
	for i := range t.slots {
		e := t.slots[i].Load()
		switch {
		case e == nil:
		case e.last.Load() < oldest:
			t.slots[i].CompareAndSwap(e, nil)
		default:
			live[e.key] = true
		}
	}
	t.mu.Lock()
	clear(t.peers)
	t.mu.Unlock()
	for k := range live {
		t.learn(k)
	}
}
