//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// books are the figures that must balance.
type books struct{ received, counted, skipped, dropped float64 }

func readBooks(ctx context.Context, tg *testbed.Tallygate) (books, error) {
	s, err := tg.Scrape(ctx, "tallygate_als_entries_received_total", "tallygate_red_entries_counted_total",
		"tallygate_als_entries_skipped_total", "tallygate_als_entries_dropped_total")
	return books{
		received: testbed.Sum(s, "tallygate_als_entries_received_total"),
		counted:  testbed.Sum(s, "tallygate_red_entries_counted_total"),
		skipped:  testbed.Sum(s, "tallygate_als_entries_skipped_total"),
		dropped:  testbed.Sum(s, "tallygate_als_entries_dropped_total"),
	}, err
}

func (b books) left() float64 { return b.received - b.counted - b.skipped - b.dropped }

// wantBalance checks that the books never show more than was received, and that
// they balance once nothing more comes.
func wantBalance(t *testing.T, tg *testbed.Tallygate) books {
	t.Helper()
	var b books
	Eventually(t, 15*time.Second, func(ctx context.Context) error {
		var err error
		if b, err = readBooks(ctx, tg); err != nil {
			return err
		}
		if b.received == 0 || b.left() < 0 {
			return testbed.Permanent(fmt.Errorf("the books are wrong: %+v", b))
		}
		if b.left() > 0 {
			return fmt.Errorf("the books do not balance: %+v", b)
		}
		return nil
	})
	return b
}

// watchBooks looks at the books all the while until stop is called: at no time
// do they show more counted, skipped and dropped than received.
func watchBooks(t *testing.T, tg *testbed.Tallygate) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		looks := 0
		for ctx.Err() == nil {
			b, err := readBooks(ctx, tg)
			if err == nil && b.left() < 0 {
				done <- fmt.Errorf("look %d: more is accounted for than was received: %+v", looks, b)
				return
			}
			looks++
		}
		done <- nil
	}()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
