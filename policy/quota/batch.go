package quota

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ask is an item with who wants to know.
type ask struct {
	item
	lease *lease  // to be filled; nil if only this charge is meant
	wait  *waiter // nil if nobody waits
	index int     // in the waiter
	// refill is set if the lease's next ask waits for this one.
	refill bool
	end    int64 // of the window, of a refund
}

// waiter is a charge that waits for Redis.
type waiter struct {
	mu      sync.Mutex
	gone    bool // it does not wait any more
	missing int
	replies []reply
	got     []bool
	done    chan struct{}
}

func newWaiter(n int) *waiter {
	return &waiter{missing: n, replies: make([]reply, n), got: make([]bool, n), done: make(chan struct{})}
}

// deliver reports false if nobody waits any more.
func (w *waiter) deliver(i int, r reply) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return false
	}
	w.replies[i], w.got[i] = r, true
	if w.missing--; w.missing == 0 {
		close(w.done)
	}
	return true
}

// leave ends the waiting. What has come has come; the rest is err.
func (w *waiter) leave(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	for i := range w.replies {
		if !w.got[i] {
			w.replies[i].err = err
		}
	}
}

const (
	maxBatch    = 4096 // items in one round trip
	maxInFlight = 4
)

var (
	errBreaker  = errors.New("redis does not answer")
	errOverload = errors.New("too many charges wait for redis")
	errStopped  = errors.New("stopped")
)

// batcher sends asks together: those that somebody waits for at once, or with
// all that came while others were under way; the rest with the next tick, behind
// them. Each of its queues is bounded by itself: keys that are made up cost others
// neither their turn nor their tokens.
type batcher struct {
	client  *redisClient
	breaker breaker
	now     func() int64
	timeout atomic.Int64 // how long Redis may take to answer
	apply   func(sent int64, asks []ask, replies []reply)

	mu       sync.Mutex
	most     int
	urgent   []ask // somebody waits
	refills  []ask // of leases
	returns  []ask // of what was not used
	due      bool  // a tick has come, and not all is sent yet
	inFlight int
	stopped  bool
	wake     chan struct{}
	wg       sync.WaitGroup

	batches, items atomic.Uint64
	roundTrips     prometheus.Histogram
	failures       [len(failureReasons)]atomic.Uint64
}

var failureReasons = [...]string{"timeout", "not_connected", "auth", "failover", "connection", "oom", "answer"}

func (b *batcher) patience() time.Duration { return time.Duration(b.timeout.Load()) }

// submit queues asks that belong together and that somebody waits for, or says
// why not.
func (b *batcher) submit(asks ...ask) error {
	if !b.breaker.closed() {
		return errBreaker
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.stopped:
		return errStopped
	case len(b.urgent)+len(asks) > b.most:
		return errOverload
	}
	b.urgent = append(b.urgent, asks...)
	b.poke()
	return nil
}

// refill queues asks of leases for the tick that has come. It returns those for
// which there is no room.
func (b *batcher) refill(asks []ask) (left []ask) {
	if !b.breaker.closed() {
		return asks
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(asks), max(0, b.most-len(b.refills)))
	if b.stopped {
		n = 0
	}
	b.refills = append(b.refills, asks[:n]...)
	return asks[n:]
}

// giveBack queues an ask for the next tick. It reports false if there is no room.
func (b *batcher) giveBack(a ask) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.returns) >= b.most {
		return false
	}
	b.returns = append(b.returns, a)
	return true
}

func (b *batcher) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// next takes a batch, nil if there is none or too many are under way.
func (b *batcher) next() []ask {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inFlight >= maxInFlight {
		return nil
	}
	n := min(len(b.urgent), maxBatch)
	for n < len(b.urgent) && n > 0 && b.urgent[n].group != 0 && b.urgent[n].group == b.urgent[n-1].group {
		n++ // a group stays together
	}
	batch := move(nil, &b.urgent, n)
	if b.due && (b.stopped || b.breaker.closed()) {
		batch = move(batch, &b.refills, maxBatch-n)
		batch = move(batch, &b.returns, maxBatch-len(batch))
		b.due = len(b.refills)+len(b.returns) > 0
	}
	if len(batch) > 0 {
		b.inFlight++
	}
	return batch
}

// move moves at most n asks from the head of a queue.
func move(to []ask, queue *[]ask, n int) []ask {
	q := *queue
	n = max(0, min(n, len(q)))
	to = append(to, q[:n]...)
	rest := copy(q, q[n:])
	clear(q[rest:])
	*queue = q[:rest]
	return to
}

// flush sends what there is, as far as it may; with a tick, all of it.
func (b *batcher) flush(ctx context.Context, tick bool) {
	if tick {
		b.mu.Lock()
		b.due = true
		b.mu.Unlock()
	}
	for {
		batch := b.next()
		if len(batch) == 0 {
			return
		}
		b.wg.Go(func() {
			b.send(ctx, batch)
			b.mu.Lock()
			b.inFlight--
			more := len(b.urgent) > 0 || b.due
			b.mu.Unlock()
			if more {
				b.poke()
			}
		})
	}
}

func (b *batcher) send(ctx context.Context, batch []ask) {
	items := make([]item, len(batch))
	for i := range batch {
		items[i] = batch[i].item
		if batch[i].op == opRefund {
			items[i].least = batch[i].end
		}
	}
	ctx, cancel := context.WithTimeout(ctx, b.patience())
	defer cancel()
	sent := b.now()
	replies := b.client.run(ctx, items)
	b.roundTrips.Observe(time.Duration(b.now() - sent).Seconds())
	b.batches.Add(1)
	b.items.Add(uint64(len(items)))
	var failed error
	ok := false
	for i := range replies {
		if replies[i].err != nil {
			failed = replies[i].err
		} else {
			ok = true
		}
	}
	switch {
	case failed != nil:
		why := reason(failed)
		for i, name := range failureReasons {
			if name == why || i == len(failureReasons)-1 {
				b.failures[i].Add(1)
				break
			}
		}
		if !ok { // of a Cluster a part may go on
			b.breaker.failed(b.now())
		}
	default:
		b.breaker.passed()
	}
	b.apply(sent, batch, replies)
}
