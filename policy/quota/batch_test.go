package quota

import (
	"errors"
	"testing"
)

// TestQueues: what a tick asks for stands behind charges that wait, and however much
// it is takes no place from them; each queue has its own bound.
func TestQueues(t *testing.T) {
	s, _ := newTestShared(t)
	b := s.batcher
	b.most = 10
	many := make([]ask, 12)
	for i := range many {
		many[i].op = opTake
	}
	if left := b.refill(many); len(left) != 2 {
		t.Errorf("%d refills found no room; want 2", len(left))
	}
	for i := range 12 {
		if ok := b.giveBack(ask{item: item{op: opRefund}}); ok != (i < 10) {
			t.Errorf("return %d is queued: %v", i, ok)
		}
	}
	if err := b.submit(make([]ask, 10)...); err != nil {
		t.Errorf("charges that wait: %v", err)
	}
	if err := b.submit(ask{}); !errors.Is(err, errOverload) {
		t.Errorf("one charge more: %v", err)
	}
	if n := len(b.next()); n != 10 {
		t.Errorf("before a tick %d asks are sent; want those of charges", n)
	}
	b.due = true
	if err := b.submit(ask{item: item{group: 7}}, ask{item: item{group: 7}}); err != nil {
		t.Error(err)
	}
	batch := b.next()
	if len(batch) != 22 || batch[1].group != 7 || batch[2].op != opTake || batch[11].op != opTake || batch[12].op != opRefund || b.due {
		t.Errorf("with the tick: %d asks, due %v; want charges, refills, returns", len(batch), b.due)
	}
	if more := b.next(); len(more) != 0 || b.inFlight != 2 {
		t.Errorf("%d asks more, %d batches under way", len(more), b.inFlight)
	}
}

// TestSeldomKeysAreNotTakenAhead: a key that comes once needs no more.
func TestSeldomKeysAreNotTakenAhead(t *testing.T) {
	s, now := newTestShared(t)
	q := perSecond("q", "k", 1000)
	k := granted(s, q, 1, reply{left: 500})
	chargeLeases(t, s, q)
	if s.tick(*now); len(s.batcher.refills) != 0 {
		t.Errorf("after one charge %+v is asked for", s.batcher.refills)
	}
	k.asking = false
	k.add(tokens{left: 1, size: 1, expires: *now + int64(s.cfg.LeaseMaxAge)})
	chargeLeases(t, s, q)
	if s.tick(*now); len(s.batcher.refills) != 1 {
		t.Errorf("after two charges %+v is asked for; want a refill", s.batcher.refills)
	}
}
