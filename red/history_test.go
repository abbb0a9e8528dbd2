package red

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

func denied(e mesh.Entry) mesh.Entry {
	e.Code, e.Flags = 403, 1<<12
	return e
}

func withCode(e mesh.Entry, code uint32) mesh.Entry {
	e.Code = code
	return e
}

// runHistory calls fn in a bubble in which the history of table runs.
func runHistory(t *testing.T, table *Table, fn func(h *History)) {
	synctest.Test(t, func(t *testing.T) {
		h := table.NewHistory()
		done := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- h.Run(ctx) }()
		synctest.Wait()
		fn(h)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestHistoryCounts(t *testing.T) {
	table := newTable(t, testConfig())
	runHistory(t, table, func(h *History) {
		by := []string{"source_workload", "destination_workload"}
		consume(t, table, httpEntry("a", "b"), withCode(httpEntry("a", "b"), 503), denied(httpEntry("c", "b")))
		if got := h.Query(HistoryQuery{By: by, Since: time.Minute}); len(got.Groups) != 0 {
			t.Errorf("before the first step there is %+v", got.Groups)
		}
		time.Sleep(HistoryStep)
		synctest.Wait()
		got := h.Query(HistoryQuery{By: by, Since: time.Minute})
		if covered := got.To.Sub(got.From); covered != HistoryStep || len(got.Groups) != 2 {
			t.Fatalf("%s with %+v; want one step and 2 groups", covered, got.Groups)
		}
		for _, g := range got.Groups {
			want := Figures{Requests: 2, Errors: 1, Nanos: 14e6, RequestBytes: 600, ResponseBytes: 2400}
			if g.Values[0] == "c" {
				want = Figures{Requests: 1, Denied: 1, Nanos: 7e6, RequestBytes: 300, ResponseBytes: 1200}
			}
			if g.Total.Buckets[3] != want.Requests {
				t.Errorf("%v: buckets %v; want %d in that up to 10 ms", g.Values, g.Total.Buckets, want.Requests)
			}
			g.Total.Buckets = nil
			if !reflect.DeepEqual(g.Total, want) {
				t.Errorf("%v: %+v; want %+v", g.Values, g.Total, want)
			}
		}

		f := func(want uint64, where ...LabelMatch) {
			t.Helper()
			n := uint64(0)
			for _, g := range h.Query(HistoryQuery{Where: where, Since: time.Minute}).Groups {
				n += g.Total.Requests
			}
			if n != want {
				t.Errorf("%+v: %d requests; want %d", where, n, want)
			}
		}
		f(3)
		f(2, LabelMatch{Label: "source_workload", Values: []string{"a"}})
		f(1, LabelMatch{Label: "source_workload", Values: []string{"a"}, Not: true})
		f(3, LabelMatch{Label: "source_workload", Values: []string{"a", "c"}})
		f(3, LabelMatch{Label: "destination_service", Values: []string{"b.*"}})
		f(1, LabelMatch{Label: "response_code", Values: []string{"4*"}})
		f(0, LabelMatch{Label: "no_such_label", Values: []string{"a"}})
	})
}

// What the steps hold together is what the table counted, over the whole hour,
// however the steps are cut.
func TestHistoryIsTheTable(t *testing.T) {
	cfg := testConfig()
	cfg.Expiry = 2 * time.Minute
	table := newTable(t, cfg)
	runHistory(t, table, func(h *History) {
		rng := rand.New(rand.NewPCG(1, 2))
		perStep := []uint64{}
		for step := range 60 * finePerCoarse {
			n := rng.IntN(5)
			for i := range n {
				consume(t, table, httpEntry(fmt.Sprintf("s%d", (step/50+i)%40), "d"))
			}
			perStep = append(perStep, uint64(n))
			time.Sleep(HistoryStep)
			synctest.Wait()
			if step%40 == 0 {
				table.sweep(time.Now())
			}
		}
		f := func(since time.Duration, each bool) {
			t.Helper()
			want, got := uint64(0), uint64(0)
			r := h.Query(HistoryQuery{By: []string{"source_workload"}, Since: since, Each: each})
			n := int(r.To.Sub(r.From) / HistoryStep)
			for _, c := range perStep[len(perStep)-n:] {
				want += c
			}
			for _, g := range r.Groups {
				got += g.Total.Requests
				if !each {
					continue
				}
				sum := uint64(0)
				for _, s := range g.Steps {
					sum += s.Requests
				}
				if sum != g.Total.Requests {
					t.Errorf("since %s: the steps of %v have %d, all %d", since, g.Values, sum, g.Total.Requests)
				}
			}
			if covered := r.To.Sub(r.From); covered < since || covered > since+HistoryCoarse {
				t.Errorf("since %s covers %s", since, covered)
			}
			if got != want {
				t.Errorf("since %s: %d; want %d", since, got, want)
			}
		}
		f(5*time.Second, false)
		f(15*time.Second, true)
		f(5*time.Minute, false)
		f(10*time.Minute, true)
		f(time.Hour, false)
		f(time.Hour, true)
	})
}

func TestHistoryIsBounded(t *testing.T) {
	cfg := testConfig()
	cfg.Expiry = time.Minute
	cfg.History.MaxSizeMiB = 1
	table := newTable(t, cfg)
	runHistory(t, table, func(h *History) {
		for step := range 200 {
			entries := make([]mesh.Entry, 0, 1000)
			for i := range 1000 {
				entries = append(entries, httpEntry(fmt.Sprintf("s%d-%d", step/20, i), "d"))
			}
			consume(t, table, entries...)
			time.Sleep(HistoryStep)
			synctest.Wait()
			table.sweep(time.Now())
		}
		s := h.Stats()
		if s.Bytes > 1<<20 || s.Dropped == 0 {
			t.Errorf("%+v; want at most 1 MiB, and steps dropped for it", s)
		}
		if s.LabelSets > 6000 || len(h.seen) > 3000 {
			t.Errorf("%d label sets and %d series are remembered of %d", s.LabelSets, len(h.seen), 10*1000)
		}
	})
}

func TestHistoryOffAndOn(t *testing.T) {
	cfg := testConfig()
	table := newTable(t, cfg)
	runHistory(t, table, func(h *History) {
		requests := func() uint64 {
			time.Sleep(2 * HistoryStep)
			synctest.Wait()
			n := uint64(0)
			for _, g := range h.Query(HistoryQuery{Since: time.Minute}).Groups {
				n += g.Total.Requests
			}
			return n
		}
		reconfigure := func(on bool) {
			cfg.History.Enabled = on
			if err := table.Reconfigure(cfg, nil); err != nil {
				t.Fatal(err)
			}
		}
		consume(t, table, httpEntry("a", "b"))
		if n := requests(); n != 1 {
			t.Errorf("%d; want 1", n)
		}
		reconfigure(false)
		consume(t, table, httpEntry("a", "b"))
		if n := requests(); n != 0 {
			t.Errorf("off: %d; want 0", n)
		}
		reconfigure(true)
		if n := requests(); n != 0 {
			t.Errorf("on again: %d; want 0, what was counted before is of no step", n)
		}
		consume(t, table, httpEntry("a", "b"), httpEntry("a", "b"))
		if n := requests(); n != 2 {
			t.Errorf("on again: %d; want 2", n)
		}
	})
}

func TestMatchWildcard(t *testing.T) {
	f := func(pattern, value string, want bool) {
		t.Helper()
		if got := MatchWildcard(pattern, value); got != want {
			t.Errorf("MatchWildcard(%q, %q) = %v", pattern, value, got)
		}
	}
	f("a", "a", true)
	f("a", "ab", false)
	f("a*", "ab", true)
	f("*b", "ab", true)
	f("*b", "ba", false)
	f("*x*", "axb", true)
	f("*", "", true)
	f("", "", true)
	f("", "a", false)
}

func FuzzHistoryRecord(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 0, 0, 0, 1, 9}, uint32(7))
	f.Add([]byte{}, uint32(0))
	f.Fuzz(func(t *testing.T, raw []byte, index uint32) {
		in := figures{}
		for i, b := range raw {
			if i < int(numCounters) {
				in.counts[i] = uint64(b) << (i * 7)
			} else {
				in.buckets = append(in.buckets, uint64(b)*uint64(b))
			}
		}
		b := appendRecord(nil, index, &in)
		b = appendRecord(b, index+1, &in)
		n := uint32(0)
		eachRecord(b, func(got uint32, out *figures) {
			if got != index+n || out.counts != in.counts || len(out.buckets) != len(in.buckets) {
				t.Fatalf("%d %+v; want %d %+v", got, out, index, in)
			}
			for i, x := range in.buckets {
				if out.buckets[i] != x {
					t.Fatalf("%+v; want %+v", out, in)
				}
			}
			n++
		})
		if n != 2 {
			t.Fatalf("%d records; want 2", n)
		}
	})
}

// A step of a table of 10,000 label sets, of which a tenth had entries.
func BenchmarkHistoryStep(b *testing.B) {
	table := newTable(b, testConfig())
	entries := tuples(10_000)
	consume(b, table, entries...)
	h := table.NewHistory()
	h.step(time.Now())
	size := 0
	for b.Loop() {
		b.StopTimer()
		consume(b, table, entries[:1000]...)
		b.StartTimer()
		h.step(time.Now())
		size = len(h.fine[len(h.fine)-1].data)
	}
	b.ReportMetric(float64(size)/1000, "B/active-set")
}

func BenchmarkHistoryQuery(b *testing.B) {
	table := newTable(b, testConfig())
	entries := tuples(5_000)
	h := table.NewHistory()
	now := time.Now()
	h.began = now
	for range 60 * finePerCoarse {
		consume(b, table, entries...)
		now = now.Add(HistoryStep)
		h.step(now)
	}
	for _, since := range []time.Duration{15 * time.Second, time.Hour} {
		b.Run(since.String(), func(b *testing.B) {
			for b.Loop() {
				h.Query(HistoryQuery{By: []string{"source_workload", "destination_workload", "destination_service"}, Since: since})
			}
			b.ReportMetric(float64(h.Stats().Bytes)/(1<<20), "MiB")
		})
	}
}
