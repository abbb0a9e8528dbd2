package ingest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudget(t *testing.T) {
	f := func(name string, parent, own, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			t.Helper()
			ctx := t.Context()
			if parent > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, parent)
				defer cancel()
			}
			start := time.Now()
			b := NewBudget(ctx, start, own)
			defer b.End()
			if d, ok := b.Deadline(); !ok || d.Sub(start) != want {
				t.Errorf("%s: deadline after %s; want %s", name, d.Sub(start), want)
			}
			if err := b.Err(); err != nil {
				t.Errorf("%s: %v before anything", name, err)
			}
			child, cancel := context.WithCancel(b)
			defer cancel()
			<-child.Done()
			if took := time.Since(start); took != want || !errors.Is(b.Err(), context.DeadlineExceeded) {
				t.Errorf("%s: ended after %s: %v; want %s", name, took, b.Err(), want)
			}
		})
	}
	f("alone", 0, time.Second, time.Second)
	f("of a patient proxy", time.Minute, time.Second, time.Second)
	f("of a proxy in a hurry", time.Second, time.Second, 750*time.Millisecond)

	synctest.Test(t, func(t *testing.T) { // nobody waits: the clock alone tells
		b := NewBudget(t.Context(), time.Now(), time.Second)
		time.Sleep(time.Second)
		if !errors.Is(b.Err(), context.DeadlineExceeded) {
			t.Errorf("after the deadline: %v", b.Err())
		}
		b.End()
	})
	b := NewBudget(t.Context(), time.Now(), time.Minute)
	done := b.Done()
	b.End()
	<-done
	if !errors.Is(b.Err(), context.Canceled) {
		t.Errorf("after the end: %v", b.Err())
	}
	b = NewBudget(t.Context(), time.Now(), time.Minute)
	b.End()
	<-b.Done() // of one who asks too late
}
