package red

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.ZeroFor = 0
		table := newTable(t, cfg)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- table.Run(ctx) }()

		old, kept := httpEntry("client", "old"), httpEntry("client", "kept")
		consume(t, table, old, old, kept)
		first := snapshot(table).Views[0].Rows
		for range 9 {
			time.Sleep(time.Minute)
			consume(t, table, kept)
		}
		if n := len(snapshot(table).Views[0].Rows); n != 2 {
			t.Fatalf("%d series after 9m; want 2", n)
		}
		time.Sleep(cfg.Expiry - 9*time.Minute + 31*time.Second)
		s := snapshot(table)
		rows := s.Views[0].Rows
		if len(rows) != 1 || rows[0].Series != first[1].Series {
			t.Fatalf("%d series after the expiry; want the other one only", len(rows))
		}
		if got := s.Views[0].Count(0, &s.Views[0].Families[0]); got != 10 {
			t.Errorf("the series that stayed has %d; want 10: it is never reset", got)
		}
		if got := s.Stats.Views[0]; got.Expired != 1 || got.Series != 1 || s.Stats.Counted != 12 {
			t.Errorf("stats %+v, counted %d; want 1 expired, 1 series, 12 counted", got, s.Stats.Counted)
		}

		consume(t, table, old)
		s = snapshot(table)
		again := s.Views[0].Rows[1].Series
		if again.ID == first[0].Series.ID || !again.Created.After(first[0].Series.Created) {
			t.Error("a series that came back is not a new one")
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestExpiryMakesRoom checks that what overflowed has series of its own once
// others went.
func TestExpiryMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, change := range []func(*Config){
			func(c *Config) { c.MaxSeries = 1 },
			func(c *Config) { c.MaxLabelValues = 1 },
		} {
			cfg := testConfig()
			change(&cfg)
			table := newTable(t, cfg)
			first, second := httpEntry("client", "first"), httpEntry("client", "second")
			consume(t, table, first, second)
			if got := requests(t, snapshot(table), "destination_workload"); got[Overflow] != 1 {
				t.Errorf("requests by destination: %v; want 1 overflow", got)
			}
			time.Sleep(cfg.Expiry + time.Second)
			table.sweep(time.Now())
			consume(t, table, second)
			if got := requests(t, snapshot(table), "destination_workload"); got["second"] != 1 || len(got) != 1 {
				t.Errorf("requests by destination after the expiry: %v; want second alone", got)
			}
			for i, values := range table.views[0].admission.values {
				if len(values) != 1 {
					t.Errorf("label %s has %d values in the books; want 1", table.views[0].schema.names[i], len(values))
				}
			}
			if n := table.views[0].admission.series; n != 1 {
				t.Errorf("%d series in the books; want 1", n)
			}
		}
	})
}

// TestShardRemove checks the open-addressing table against removals in any
// order.
func TestShardRemove(t *testing.T) {
	table := newTable(t, testConfig())
	es := tuples(3000)
	consume(t, table, es...)
	v := table.views[0]
	for round := range 5 {
		now := time.Now().UnixNano()
		keep := map[key]bool{}
		for i := range v.shards {
			for j, s := range v.shards[i].list {
				s.seen = now
				if (j+round)%3 == 0 {
					s.seen = 0
				} else {
					keep[s.key] = true
				}
			}
		}
		table.sweep(time.Now())
		n := 0
		for i := range v.shards {
			sh := &v.shards[i]
			for pos, s := range sh.list {
				n++
				if !keep[s.key] {
					t.Fatal("an expired series is still there")
				}
				if s.pos != pos || sh.find(s.hash, &s.key) != s {
					t.Fatal("a series cannot be found")
				}
			}
		}
		if n != len(keep) {
			t.Fatalf("%d series; want %d", n, len(keep))
		}
		consume(t, table, es...)
		if n := len(snapshot(table).Views[0].Rows); n != len(es) {
			t.Fatalf("%d series; want %d", n, len(es))
		}
	}
}
