package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestStampede(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := NewFlights[int]()
		var calls, led atomic.Int32
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				v, leader, err := fl.Do(t.Context(), []byte("k"), time.Second, func(context.Context) (int, error) {
					calls.Add(1)
					time.Sleep(10 * time.Millisecond)
					return 7, nil
				})
				if v != 7 || err != nil {
					t.Errorf("%d, %v", v, err)
				}
				if leader {
					led.Add(1)
				}
			})
		}
		wg.Wait()
		if calls.Load() != 1 || led.Load() != 1 {
			t.Errorf("%d calls, %d leaders", calls.Load(), led.Load())
		}
	})
}

// TestLeaderGivesUp: its client is gone, the others get their answer.
func TestLeaderGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := NewFlights[int]()
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), keyType{}, "kept"))
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _, _ = fl.Do(ctx, []byte("k"), time.Second, func(own context.Context) (int, error) {
				if own.Value(keyType{}) != "kept" {
					t.Error("the context lost its values")
				}
				time.Sleep(100 * time.Millisecond)
				return 7, own.Err()
			})
		})
		synctest.Wait()
		wg.Go(func() {
			if v, led, err := fl.Do(t.Context(), []byte("k"), time.Second, nil); v != 7 || led || err != nil {
				t.Errorf("%d, %t, %v", v, led, err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

type keyType struct{}

// TestDeadlines: the flight has one, those who joined have theirs, and one that
// does not heed its own holds up nobody but the leader.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := NewFlights[int]()
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _, err := fl.Do(t.Context(), []byte("k"), time.Second, func(own context.Context) (int, error) {
				time.Sleep(time.Minute) // heeds nothing
				return 0, own.Err()
			})
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
				t.Errorf("the leader: %v after %s", err, time.Since(began))
			}
		})
		synctest.Wait()
		join := func(own time.Duration, want time.Duration) {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), own)
				defer cancel()
				_, _, err := fl.Do(ctx, []byte("k"), time.Hour, nil)
				if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != want {
					t.Errorf("one with %s: %v after %s; want %s", own, err, took, want)
				}
			})
		}
		join(time.Hour, time.Second)
		join(100*time.Millisecond, 100*time.Millisecond)
		wg.Wait()
	})
}

// TestFailureEnds: the next one tries again.
func TestFailureEnds(t *testing.T) {
	fl := NewFlights[int]()
	boom := errors.New("boom")
	if _, led, err := fl.Do(t.Context(), []byte("k"), time.Second, func(context.Context) (int, error) { return 0, boom }); !led || err != boom {
		t.Errorf("%t, %v", led, err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _, _ = fl.Do(t.Context(), []byte("k"), time.Second, func(context.Context) (int, error) { panic("loud") })
	}()
	if v, led, err := fl.Do(t.Context(), []byte("k"), time.Second, func(context.Context) (int, error) { return 7, nil }); v != 7 || !led || err != nil {
		t.Errorf("%d, %t, %v", v, led, err)
	}
}

// TestPanicReleases: those who joined are told.
func TestPanicReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fl := NewFlights[int]()
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { _ = recover() }()
			_, _, _ = fl.Do(t.Context(), []byte("k"), time.Second, func(context.Context) (int, error) {
				time.Sleep(time.Millisecond)
				panic("loud")
			})
		})
		synctest.Wait()
		if _, _, err := fl.Do(t.Context(), []byte("k"), time.Second, nil); !errors.Is(err, errAborted) {
			t.Errorf("%v", err)
		}
		wg.Wait()
	})
}
