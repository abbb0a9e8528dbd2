package main

import (
	"context"
	"errors"
	"fmt"
)

// task is a Run that goes on beside the others.
type task struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once done
}

// start runs run. If it ends without having been stopped, that is told to
// failed, which must not block.
func start(name string, run func(context.Context) error, failed chan<- error) *task {
	ctx, cancel := context.WithCancel(context.Background())
	t := &task{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		t.err = run(ctx)
		if ctx.Err() == nil {
			err := t.err
			if err == nil {
				err = errors.New("ended by itself")
			}
			failed <- fmt.Errorf("%s: %w", name, err)
		}
	}()
	return t
}

// stop ends the run and waits for what it flushes. It may be called again, and
// for a task that never was.
func (t *task) stop() error {
	if t == nil {
		return nil
	}
	t.cancel()
	<-t.done
	return t.err
}
