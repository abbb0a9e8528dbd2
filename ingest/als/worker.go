package als

import (
	"time"

	"github.com/tallygate/tallygate/internal/pace"
	"github.com/tallygate/tallygate/mesh"
)

// burst is how long a worker may work at a stretch, if it may not always.
const burst = 5 * time.Millisecond

// batchSize is the most entries that a sink is handed at once.
const batchSize = 64

// worker is what it takes to work on one message. There are only as many as
// messages may be worked on at once.
type worker struct {
	r      record
	x      lookups
	labels *labelSet
	key    []byte
	batch  mesh.Batch
	tally  tally
	pace   *pace.Pace
}

// tally counts for one message.
type tally struct {
	skipped   [numSkips]uint64
	dropped   [numDrops]uint64
	conflicts [2]uint64
	bad       uint64
	repaired  uint64
	misses    uint64
	counted   uint64
}

func newWorker(share float64) *worker {
	return &worker{
		pace:  pace.New(share, burst),
		key:   make([]byte, 0, maxMemoKey),
		batch: mesh.Batch{Entries: make([]mesh.Entry, 0, batchSize), Details: details{}},
	}
}

// count hands the entries of a message to the sink and keeps the books.
func (w *worker) count(st *stream, f *frame, arrived time.Time) {
	labels := st.s.labels.Load()
	if labels != w.labels {
		w.labels = labels
		w.r.setLabels(labels)
	}
	w.r.begin()
	snap := st.refresh(labels)
	w.tally = tally{}
	w.batch.Received = arrived
	w.batch.Entries = w.batch.Entries[:0]
	tcp := f.logs == tagTCPLogs
	// One entry of each message is looked at closely, another one each time: a
	// log may be written by listeners of both directions.
	st.turn++
	sample := st.turn % uint64(f.entries)
	c := f.cursor()
	for b, ok := c.next(); ok; b, ok = c.next() {
		if !w.r.decode(b, tcp) {
			w.tally.dropped[dropMalformed]++
			continue
		}
		var ev tcpEvent
		if tcp {
			why := w.r.tcpEvent(&ev)
			if why < numSkips && !ev.hold {
				w.tally.skipped[why]++
				continue
			}
			if ev.hold {
				st.observe(&w.r, &ev, arrived)
				w.tally.skipped[skipStart]++
				continue
			}
		} else if why := w.r.skips(); why < numSkips {
			w.tally.skipped[why]++
			continue
		}
		reporter := st.id.reporterFor(&w.r)
		res := w.identities(st, reporter, snap)
		if w.tally.counted == sample {
			st.sample(res.missing | w.r.missing())
		}
		w.batch.Entries = w.batch.Entries[:len(w.batch.Entries)+1]
		e := &w.batch.Entries[len(w.batch.Entries)-1]
		w.r.entry(e, reporter, res)
		e.Wire = b
		repaired := res.repaired
		if w.labels.n > 0 {
			c := w.custom(st)
			e.Custom = c.values
			repaired = repaired || c.repaired
		}
		if repaired {
			w.tally.repaired++
		}
		if tcp {
			d := st.observe(&w.r, &ev, arrived)
			e.SentBytes, e.ReceivedBytes, e.Opened, e.Closed = d.sent, d.received, d.opened, d.closed
		}
		w.tally.counted++
		if len(w.batch.Entries) == batchSize {
			w.flush(st)
		}
	}
	w.flush(st)
	w.settle(st)
}

// identities returns the identities of the entry in w.r.
func (w *worker) identities(st *stream, reporter mesh.Reporter, snap *snapshot) *resolved {
	w.x.fill(&w.r, reporter, snap)
	authority := st.authority(&w.r, reporter)
	w.key = w.x.appendKey(w.key[:0], &w.r, reporter, authority)
	res, hash, ok := st.memo.get(w.key)
	if !ok {
		w.tally.misses++
		res = st.id.resolve(&w.r, reporter, &w.x, snap, authority)
		st.memo.put(hash, w.key, res)
	}
	for end, conflict := range res.conflicts {
		if conflict {
			w.tally.conflicts[end]++
		}
	}
	if res.badMetadata {
		w.tally.bad++
	}
	return res
}

// custom returns the custom label values of the entry in w.r.
func (w *worker) custom(st *stream) customValues {
	w.key = w.r.appendCustom(w.key[:0])
	c, hash, ok := st.customs.get(w.key)
	if !ok {
		c = w.labels.canonical(&w.r)
		st.customs.put(hash, w.key, c)
	}
	return c
}

// flush hands the batch to the sink.
func (w *worker) flush(st *stream) {
	if len(w.batch.Entries) == 0 {
		return
	}
	if err := st.s.sink.Consume(st.consume, &w.batch); err != nil {
		w.tally.dropped[dropSink] += uint64(len(w.batch.Entries))
	}
	w.batch.Entries = w.batch.Entries[:0]
}

// settle enters the tally into the books.
func (w *worker) settle(st *stream) {
	t, b, m := &w.tally, &st.s.books, st.s.m
	var skipped, dropped uint64
	for i, n := range t.skipped {
		if n > 0 {
			b.skipped[i].Add(n)
			skipped += n
		}
	}
	for i, n := range t.dropped {
		if n > 0 {
			b.dropped[i].Add(n)
			dropped += n
		}
	}
	st.stats.entries.Add(t.counted)
	st.stats.skipped.Add(skipped)
	st.stats.dropped.Add(dropped)
	if t.conflicts[sourceEnd] > 0 {
		m.conflicts.WithLabelValues(sourceSide).Add(float64(t.conflicts[sourceEnd]))
	}
	if t.conflicts[destinationEnd] > 0 {
		m.conflicts.WithLabelValues(destinationSide).Add(float64(t.conflicts[destinationEnd]))
	}
	if t.bad > 0 {
		m.badMetadata.Add(float64(t.bad))
	}
	if t.repaired > 0 {
		m.repaired.Add(float64(t.repaired))
	}
	if t.misses > 0 {
		m.memoMisses.Add(float64(t.misses))
	}
}

// sample notes what one entry of a message lacks.
func (st *stream) sample(m missing) {
	st.stats.sampled.Add(1)
	for i := range st.stats.missing {
		if m&(1<<i) != 0 {
			st.stats.missing[i].Add(1)
		}
	}
}

// observe enters a TCP entry into the table of connections.
func (st *stream) observe(r *record, ev *tcpEvent, arrived time.Time) tcpDelta {
	if ev.phase == tcpContinues && !st.periodic {
		st.periodic = true
		st.s.tcp.notePeriodic(st.nodeKey)
	}
	if r.hasDuration {
		st.lead = max(st.lead, int64(r.start.time()+r.duration.duration())-arrived.UnixNano())
	}
	ev.node = st.nodeKey
	ev.periodic = st.periodic
	ev.started -= st.lead
	ev.fresh = st.opened.Add(fresh).UnixNano()
	if ev.id == "" { // connections cannot be told apart: only final entries say anything
		if ev.phase != tcpEnds {
			return tcpDelta{}
		}
		return tcpDelta{sent: ev.sent, received: ev.received, opened: true, closed: true}
	}
	return st.s.tcp.observe(ev, arrived.UnixNano())
}
