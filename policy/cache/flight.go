package cache

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"
)

// errAborted is what the others get if the leader panicked.
var errAborted = errors.New("the evaluation was aborted")

const flightShards = 64

// Flights are the calls under way, at most one for each key. The zero Flights
// cannot be used: see NewFlights.
type Flights[V any] struct {
	seed   maphash.Seed
	shards [flightShards]struct {
		mu    sync.Mutex
		calls map[string]*call[V]
	}
}

type call[V any] struct {
	ctx   context.Context // with the flight's own deadline
	done  chan struct{}
	value V
	err   error
}

// NewFlights returns Flights with nothing under way.
func NewFlights[V any]() *Flights[V] {
	f := &Flights[V]{seed: maphash.MakeSeed()}
	for i := range f.shards {
		f.shards[i].calls = map[string]*call[V]{}
	}
	return f
}

// Do calls fn unless a call for key is under way, in which case it waits for
// that one's result. led says which it was.
//
// The leader calls fn itself, with the values of its ctx but not its end: the
// call ends at the latest after timeout, counted from its beginning, for the
// leader and for those who joined. So the leader returns only when fn has, and
// what fn reads may be lent to the leader. One who joined gives up when its own
// ctx ends.
func (f *Flights[V]) Do(ctx context.Context, key []byte, timeout time.Duration, fn func(context.Context) (V, error)) (v V, led bool, err error) {
	s := &f.shards[maphash.Bytes(f.seed, key)%flightShards]
	s.mu.Lock()
	if c, ok := s.calls[string(key)]; ok {
		s.mu.Unlock()
		v, err = c.wait(ctx)
		return v, false, err
	}
	own, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	c := &call[V]{ctx: own, done: make(chan struct{}), err: errAborted}
	k := string(key)
	s.calls[k] = c
	s.mu.Unlock()

	defer func() {
		s.mu.Lock()
		delete(s.calls, k)
		s.mu.Unlock()
		close(c.done)
	}()
	c.value, c.err = fn(own)
	return c.value, true, c.err
}

func (c *call[V]) wait(ctx context.Context) (v V, err error) {
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.ctx.Done():
		err = c.ctx.Err()
	}
	// The flight's context ends also when it is done.
	select {
	case <-c.done:
		return c.value, c.err
	default:
		return v, err
	}
}
