package spans

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

func TestReasons(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Sampling.Head.Ratio = 0.5
	s := newSampler(&cfg)
	f := func(e mesh.Entry, want ...why) {
		t.Helper()
		var set reasons
		for _, w := range want {
			set |= 1 << w
		}
		if got := s.of(&e, e.Duration > 100*time.Millisecond); got != set {
			t.Errorf("%+v: %b; want %b", e, got, set)
		}
	}
	low, high := strings.Repeat("0", 31)+"1", strings.Repeat("f", 32)
	ok := mesh.Entry{Code: 200, GRPCStatus: mesh.NoGRPCStatus, TraceID: low}
	with := func(change func(*mesh.Entry)) mesh.Entry { e := ok; change(&e); return e }
	f(ok)
	f(with(func(e *mesh.Entry) { e.TraceSampled = true }), whyProxy)
	f(with(func(e *mesh.Entry) { e.Code = 503 }), whyError)
	f(with(func(e *mesh.Entry) { e.Code = 0 }), whyError)
	f(with(func(e *mesh.Entry) { e.Protocol, e.GRPCStatus = mesh.ProtocolGRPC, 14 }), whyError)
	f(with(func(e *mesh.Entry) { e.Protocol, e.GRPCStatus = mesh.ProtocolGRPC, 5 }))
	f(with(func(e *mesh.Entry) { e.Code, e.Flags = 403, 1<<12 }), whyDenied)
	f(with(func(e *mesh.Entry) { e.Code = 403 }), whyDenied)
	f(with(func(e *mesh.Entry) { e.Code = 429 }), whyDenied)
	f(with(func(e *mesh.Entry) { e.Protocol, e.GRPCStatus = mesh.ProtocolGRPC, 7 }), whyDenied)
	f(with(func(e *mesh.Entry) { e.Code = 404 }))
	f(with(func(e *mesh.Entry) { e.Duration = time.Second }), whyEdgeP99)
	f(with(func(e *mesh.Entry) { e.Duration = time.Second + 1 }), whySlow, whyEdgeP99)
	f(with(func(e *mesh.Entry) { e.TraceID = high }), whyHead)
	f(with(func(e *mesh.Entry) { e.TraceID = high[16:] }), whyHead)
	f(with(func(e *mesh.Entry) { e.TraceID, e.RequestID = "", "8a4c0f9e-2f6d-4c9a-9aff-0123456789ab" }), whyHead)
	f(with(func(e *mesh.Entry) { e.TraceID, e.RequestID = "", "8a4c0f9e-2f6d-4c9a-9a11-0023456789ab" }))
	f(with(func(e *mesh.Entry) { e.TraceID = "" }))
}

// TestHeadRatio: the ratio is kept, by each replica for the same traces, and a
// smaller one takes none that a bigger one does not.
func TestHeadRatio(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	cfg := DefaultConfig()
	taken := func(ratio float64, id string) bool {
		cfg.Sampling.Head.Ratio = ratio
		e := mesh.Entry{Code: 200, GRPCStatus: mesh.NoGRPCStatus, TraceID: id}
		return newSampler(&cfg).of(&e, false)&(1<<whyHead) != 0
	}
	const n = 20_000
	var counts [3]int
	for range n {
		id := fmt.Sprintf("%016x%016x", rnd.Uint64(), rnd.Uint64())
		var was bool
		for i, ratio := range []float64{0.01, 0.2, 1} {
			is := taken(ratio, id)
			if was && !is {
				t.Fatalf("%s is sampled at a smaller ratio only", id)
			}
			if was = is; is {
				counts[i]++
			}
		}
	}
	for i, ratio := range []float64{0.01, 0.2, 1} {
		want := ratio * n
		if d := math.Abs(float64(counts[i]) - want); d > 5*math.Sqrt(want+1) {
			t.Errorf("ratio %v took %d of %d", ratio, counts[i], n)
		}
	}
}

func TestSpend(t *testing.T) {
	f := func(now, full, interval, burst, wantFull int64, want bool) {
		t.Helper()
		if got, ok := spend(now, full, interval, burst); got != wantFull || ok != want {
			t.Errorf("spend(%d, %d, %d, %d) = %d, %v; want %d, %v", now, full, interval, burst, got, ok, wantFull, want)
		}
	}
	f(1000, 0, 10, 3, 1010, true)
	f(1000, 1010, 10, 3, 1020, true)
	f(1000, 1020, 10, 3, 1030, true)
	f(1000, 1030, 10, 3, 1030, false)
	f(1009, 1030, 10, 3, 1030, false)
	f(1010, 1030, 10, 3, 1040, true)
	f(2000, 1030, 10, 3, 2010, true)
}

func TestAdmit(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Sampling.Error.PerSecond, cfg.Sampling.Slow.PerSecond = 2, 1
	s := newSampler(&cfg)
	f := func(set reasons, want why, wantOver reasons, wantOK bool) {
		t.Helper()
		if w, over, ok := s.admit(set, int64(time.Hour)); w != want || over != wantOver || ok != wantOK {
			t.Errorf("admit(%b) = %v, %b, %v; want %v, %b, %v", set, w, over, ok, want, wantOver, wantOK)
		}
	}
	both := reasons(1<<whyError | 1<<whySlow)
	f(both, whyError, 0, true)
	f(both, whyError, 0, true)
	f(both, whySlow, 1<<whyError, true)
	f(both, 0, both, false)
	f(1<<whyProxy, whyProxy, 0, true)
}

// TestP99 compares the running estimate with the sorted list.
func TestP99(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	f := func(name string, draw func() float64, tolerance float64) {
		t.Helper()
		var p p99
		var all []float64
		longer, judged := 0, 0
		for range 500_000 {
			d := draw()
			all = append(all, d)
			var slow bool
			if p, slow = p.observe(d); slow {
				longer++
			}
			judged++
		}
		sort.Float64s(all)
		want := all[len(all)*99/100]
		if p.value < want/tolerance || p.value > want*tolerance {
			t.Errorf("%s: %v; the 99th percentile is %v", name, p.value, want)
		}
		if share := float64(longer) / float64(judged); share < 0.008 || share > 0.013 {
			t.Errorf("%s: %.2f%% were longer; want about 1%%", name, 100*share)
		}
	}
	f("log-normal", func() float64 { return 1e6 * math.Exp(rnd.NormFloat64()) }, 1.6)
	f("uniform", func() float64 { return 1e6 * rnd.Float64() }, 1.3)
	f("constant", func() float64 { return 5e6 }, 1.1)
	f("two modes", func() float64 {
		if rnd.IntN(20) == 0 {
			return 5e7 * (1 + rnd.Float64())
		}
		return 1e6 * (1 + rnd.Float64())
	}, 1.3)
}

func TestP99Follows(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var p p99
	run := func(scale float64) {
		for range 20_000 {
			p, _ = p.observe(scale * rnd.Float64())
		}
		if p.value < scale/2 || p.value > scale*2 {
			t.Errorf("durations up to %v have the estimate %v", scale, p.value)
		}
	}
	if _, slow := p.observe(1e12); slow {
		t.Error("the first request is slow already")
	}
	run(1e6)
	run(1e9)
	run(1e5)
}
