package red

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/tallygate/tallygate/mesh"
)

// TestZeroFor plays two Prometheis that scrape every 15 s at different times:
// each sees a new series at 0 before its first value.
func TestZeroFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newTable(t, DefaultConfig())
		e := httpEntry("client", "server")
		e.TraceID, e.TraceSampled = "0123456789abcdef", true
		consume(t, table, e, e, e)
		var s Snapshot
		f := func(want uint64) {
			t.Helper()
			table.Snapshot(&s)
			v := &s.Views[0]
			if len(v.Rows) != 1 {
				t.Fatalf("%d rows; want 1", len(v.Rows))
			}
			if got := v.Count(0, &v.Families[0]); got != want {
				t.Errorf("value %d; want %d", got, want)
			}
			var n uint64
			for _, c := range v.Buckets(0, &v.Families[1]) {
				n += c
			}
			if n != want || v.Rows[0].Held != (want == 0) {
				t.Errorf("histogram %d, held %v; want %d", n, v.Rows[0].Held, want)
			}
			if has := v.Exemplars(0, &v.Families[0]) != nil; has != (want > 0) {
				t.Errorf("exemplars there: %v", has)
			}
			if s.Stats.Counted != 3 {
				t.Errorf("counted %d; want 3 at any time", s.Stats.Counted)
			}
		}
		f(0)
		time.Sleep(7 * time.Second)
		f(0)
		time.Sleep(8*time.Second - time.Nanosecond)
		f(0)
		s.Raw = true
		f(3)
		s.Raw = false
		time.Sleep(time.Nanosecond)
		f(3)

		consume(t, table, httpEntry("client", "other"))
		table.Snapshot(&s)
		if v := &s.Views[0]; !v.Rows[1].Held || v.Rows[0].Held {
			t.Error("not the new series alone is held")
		}
		table.Reveal()
		table.Snapshot(&s)
		if v := &s.Views[0]; v.Rows[1].Held || v.Count(1, &v.Families[0]) != 1 {
			t.Error("a series is held after Reveal")
		}
	})
}

func TestExemplars(t *testing.T) {
	table := newTable(t, testConfig())
	e := httpEntry("client", "server")
	e.TraceSampled = true
	id := strings.Repeat("0123456789ABCDEF", 2)
	for _, e.TraceID = range []string{"", "short", strings.Repeat("g", 32), id + id, `0123456789abcde"`} {
		consume(t, table, e)
	}
	exemplars := func(family int) []Exemplar {
		s := snapshot(table)
		v := &s.Views[0]
		return v.Exemplars(0, &v.Families[family])
	}
	for _, ex := range exemplars(1) {
		if ex.Time != 0 {
			t.Errorf("%q became an exemplar", ex.TraceID())
		}
	}
	e.TraceID = id
	consume(t, table, e)
	e.TraceSampled, e.TraceID = false, strings.Repeat("f", 32)
	consume(t, table, e)
	for i, ex := range exemplars(1) {
		switch {
		case i != 3 && ex.Time != 0:
			t.Errorf("bucket %d has an exemplar", i)
		case i == 3 && (string(ex.TraceID()) != id || ex.Value != 7 || time.Since(time.Unix(0, ex.Time)) > time.Minute):
			t.Errorf("exemplar %q %v %v; want %q 7 now", ex.TraceID(), ex.Value, ex.Time, id)
		}
	}
	if ex := exemplars(0); len(ex) != 1 || string(ex[0].TraceID()) != id {
		t.Errorf("the counter's exemplars are %v", ex)
	}
	if ex := exemplars(2); ex != nil {
		t.Errorf("the sizes have exemplars: %v", ex)
	}
}

// TestKeepsNoLentBytes overwrites what a batch lent.
func TestKeepsNoLentBytes(t *testing.T) {
	cfg := testConfig()
	cfg.SpanMetrics = true
	table := newTable(t, cfg)
	e := httpEntry("client", "server")
	id, method := []byte("0123456789abcdef"), []byte("GET")
	e.TraceSampled, e.TraceID, e.Method = true, unsafe.String(&id[0], len(id)), unsafe.String(&method[0], len(method))
	consume(t, table, e)
	copy(id, "xxxxxxxxxxxxxxxx")
	copy(method, "xxx")
	s := snapshot(table)
	if ex := s.Views[0].Exemplars(0, &s.Views[0].Families[0]); string(ex[0].TraceID()) != "0123456789abcdef" {
		t.Errorf("the exemplar is %q", ex[0].TraceID())
	}
	spans := &s.Views[len(s.Views)-1]
	if got := spans.Rows[0].Series.AppendValues(nil); !slices.Equal(got, []string{"server", "GET", "SPAN_KIND_SERVER", "STATUS_CODE_UNSET"}) {
		t.Errorf("the span's labels are %q", got)
	}
}

func TestSnapshotNative(t *testing.T) {
	cfg := testConfig()
	cfg.NativeHistograms.Enabled = true
	table := newTable(t, cfg)
	es := tuples(300)
	consume(t, table, es...)
	consume(t, table, es...)
	s := snapshot(table)
	v := &s.Views[0]
	for row := range v.Rows {
		f := &v.Families[1]
		if f.Name != MetricRequestDuration || !f.Native {
			t.Fatalf("family %+v", f)
		}
		n := v.NativeBuckets(row, f)
		e := es[row]
		want := nativeIndex(float64(e.Duration)/1e6, 3)
		if n.Schema != 3 || n.Offset != want || len(n.Counts) != 1 || n.Counts[0] != 2 {
			t.Errorf("row %d: %+v; want 2 in bucket %d", row, n, want)
		}
	}
}

// TestSnapshotBalances takes snapshots while entries are counted: each is
// consistent in itself.
func TestSnapshotBalances(t *testing.T) {
	cfg := testConfig()
	table := newTable(t, cfg)
	var wg sync.WaitGroup
	const workers, batches = 4, 200
	for w := range workers {
		wg.Go(func() {
			es := tuples(500)
			for i := range batches {
				at := (i*50 + w*130) % 450
				consume(t, table, es[at:at+50]...)
			}
		})
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	var s Snapshot
	last := uint64(0)
	for running := true; running; {
		select {
		case <-finished:
			running = false
		default:
		}
		table.Snapshot(&s)
		v := &s.Views[0]
		sum := uint64(0)
		for row := range v.Rows {
			n := v.Count(row, &v.Families[0])
			sum += n
			for f := 1; f < 4; f++ {
				h := uint64(0)
				for _, c := range v.Buckets(row, &v.Families[f]) {
					h += c
				}
				if h != n {
					t.Fatalf("%s has %d values and %s %d", v.Families[f].Name, h, v.Families[0].Name, n)
				}
			}
		}
		if sum != s.Stats.Counted {
			t.Fatalf("the rows have %d entries, the book %d", sum, s.Stats.Counted)
		}
		if sum < last {
			t.Fatalf("the book fell from %d to %d", last, sum)
		}
		last = sum
	}
	if last != workers*batches*50 {
		t.Errorf("counted %d; want %d", last, workers*batches*50)
	}
	if got := table.Stats().Counted; got != last {
		t.Errorf("Stats counted %d; want %d", got, last)
	}
}

// BenchmarkSnapshot measures the copy and the longest time that a shard was
// locked for it, of a table that is counting.
func BenchmarkSnapshot(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("tuples=%d", n), func(b *testing.B) {
			cfg := testConfig()
			cfg.MaxSeries = n
			cfg.MaxLabelValues = n
			table := newTable(b, cfg)
			es := tuples(n)
			for i := range es {
				es[i].TraceID, es[i].TraceSampled = "0123456789abcdef0123456789abcdef", true
			}
			consume(b, table, es...)
			v := table.views[0]
			var s Snapshot
			table.Snapshot(&s)
			var stats Stats
			var vs ViewStats
			var holds []time.Duration
			for b.Loop() {
				view := &s.Views[0]
				view.Rows, view.values, view.exemplars = view.Rows[:0], view.values[:0], view.exemplars[:0]
				for i := range v.shards {
					began := time.Now()
					view.addShard(&v.shards[i], &stats, &vs, 1<<62)
					holds = append(holds, time.Since(began))
				}
			}
			// The longest of all is a time that the scheduler took the thread away.
			slices.Sort(holds)
			report := func(q float64, unit string) {
				b.ReportMetric(float64(holds[int(q*float64(len(holds)-1))].Nanoseconds())/1e3, unit)
			}
			report(0.5, "µs/lock-p50")
			report(0.99, "µs/lock-p99")
			report(0.999, "µs/lock-p99.9")
			report(1, "µs/lock-max")
		})
	}
}

// BenchmarkConsumeWhileScraped measures the longest time that a batch of 50
// took while snapshots are taken without a pause.
func BenchmarkConsumeWhileScraped(b *testing.B) {
	table := newTable(b, testConfig())
	es := tuples(10_000)
	consume(b, table, es...)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		var s Snapshot
		for {
			select {
			case <-stop:
				return
			default:
				table.Snapshot(&s)
			}
		}
	})
	var took []time.Duration
	batch := mesh.Batch{}
	for i := 0; b.Loop(); i++ {
		at := i * 50 % len(es)
		batch.Entries = es[at : at+50]
		began := time.Now()
		_ = table.Consume(b.Context(), &batch)
		took = append(took, time.Since(began))
	}
	close(stop)
	wg.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs/batch-p99")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "µs/batch-max")
}
