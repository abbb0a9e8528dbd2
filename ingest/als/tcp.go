package als

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tcpTable turns the cumulative byte counts of TCP connections into deltas. All
// streams share it: a connection stays the same when its proxy's stream moves.
//
// What was counted before and what was not cannot always be known, after a
// restart or when a stream moved here. The rule is never to count twice: where
// in doubt, the first counts seen are a baseline.
type tcpTable struct {
	idle   time.Duration
	m      *metrics
	seed   maphash.Seed
	shards [tcpShards]tcpShard

	// since is when this process began to know connections, lost when it last
	// forgot one that was open (Unix nanoseconds): of what started before,
	// anything may have been counted.
	since int64
	lost  atomic.Int64

	// periodic holds the nodes that log open connections.
	periodicMu sync.Mutex
	periodic   map[uint64]struct{}
}

const maxPeriodic = 1 << 16

const tcpShards = 32

type tcpShard struct {
	mu    sync.Mutex
	max   int
	conns map[tcpKey]tcpConn
}

// tcpKey is a connection: the reporter's node and log, and the connection's
// stream id.
type tcpKey struct {
	node uint64
	id   string
}

type tcpConn struct {
	sent, received uint64
	opened         bool  // the opening was counted
	seen           int64 // Unix nanoseconds
}

// tcpPhase is what an entry says of its connection.
type tcpPhase uint8

const (
	tcpStarts    tcpPhase = iota // nothing was logged before
	tcpConnects                  // the upstream is connected: little was logged before
	tcpContinues                 // a periodic entry
	tcpEnds
)

// tcpDelta is what an entry adds.
type tcpDelta struct {
	sent, received uint64
	opened, closed bool
	baseline       bool
}

// tcpEvent is one entry of a connection.
type tcpEvent struct {
	node           uint64
	id             string // lent
	phase          tcpPhase
	hold           bool  // not to be counted yet
	periodic       bool  // the log has entries of open connections
	started        int64 // Unix nanoseconds by our clock
	fresh          int64 // what started after this cannot have been reported elsewhere
	sent, received uint64
}

func newTCPTable(cfg TCPConfig, m *metrics, now time.Time) *tcpTable {
	t := &tcpTable{idle: cfg.IdleTimeout, m: m, seed: maphash.MakeSeed(), since: now.UnixNano(), periodic: make(map[uint64]struct{})}
	for i := range t.shards {
		t.shards[i].conns = make(map[tcpKey]tcpConn)
		t.shards[i].max = max(1, cfg.MaxConnections/tcpShards)
	}
	return t
}

func (t *tcpTable) shard(k tcpKey) *tcpShard {
	return &t.shards[(maphash.String(t.seed, k.id)^k.node)%tcpShards]
}

// observe notes an entry and returns what it adds.
func (t *tcpTable) observe(ev *tcpEvent, now int64) (d tcpDelta) {
	k := tcpKey{ev.node, ev.id}
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, known := s.conns[k]
	if !known {
		c = t.first(ev)
		d.baseline = c.opened
		k.id = strings.Clone(k.id)
	}
	if !ev.hold {
		d.sent, c.sent = grown(c.sent, ev.sent)
		d.received, c.received = grown(c.received, ev.received)
		d.opened = !c.opened
		c.opened = true
	}
	if d.baseline {
		t.m.tcpBaselines.Inc()
	}
	if ev.phase == tcpEnds {
		d.closed = true
		delete(s.conns, k)
		return d
	}
	if !known && len(s.conns) >= s.max {
		t.lost.Store(now)
		t.m.tcpEvictions.WithLabelValues("full").Inc()
		return d
	}
	c.seen = now
	s.conns[k] = c
	return d
}

// first returns the state before the first entry that is seen of a connection.
func (t *tcpTable) first(ev *tcpEvent) (c tcpConn) {
	switch {
	case ev.phase == tcpStarts:
		return c
	case ev.phase == tcpConnects && ev.started > max(t.since, t.lost.Load()):
		return c
	case ev.started > max(ev.fresh, t.lost.Load()):
		return c // nobody else can have counted any of it
	case ev.phase == tcpEnds && !ev.periodic && ev.started > max(t.since, t.lost.Load()):
		return c // it had no entry before
	}
	return tcpConn{sent: ev.sent, received: ev.received, opened: true}
}

// grown returns how much a cumulative count grew, and the count to go on from. One
// that shrank did not.
func grown(before, now uint64) (delta, next uint64) {
	if now < before {
		return 0, before
	}
	return now - before, now
}

// logsPeriodically reports whether a node is known to log open connections.
func (t *tcpTable) logsPeriodically(node uint64) bool {
	t.periodicMu.Lock()
	defer t.periodicMu.Unlock()
	_, ok := t.periodic[node]
	return ok
}

func (t *tcpTable) notePeriodic(node uint64) {
	t.periodicMu.Lock()
	defer t.periodicMu.Unlock()
	if len(t.periodic) < maxPeriodic {
		t.periodic[node] = struct{}{}
	}
}

// expire forgets connections without an entry for the idle timeout.
func (t *tcpTable) expire(now time.Time) {
	limit := now.Add(-t.idle).UnixNano()
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for k, c := range s.conns {
			if c.seen <= limit {
				delete(s.conns, k)
				t.lost.Store(now.UnixNano())
				t.m.tcpEvictions.WithLabelValues("idle").Inc()
			}
		}
		s.mu.Unlock()
	}
}

func (t *tcpTable) size() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.conns)
		s.mu.Unlock()
	}
	return n
}
