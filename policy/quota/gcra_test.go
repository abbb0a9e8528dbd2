package quota

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

const t0 = int64(1_700_000_000_000_000_000)

func gcraLimit(n uint64, per time.Duration, burst uint64) *limit {
	l := limitOf(&mesh.Quota{Limit: n, Per: per, Burst: burst})
	return &l
}

// step is one charge and what is wanted of it.
type step struct {
	at         time.Duration // after t0; also backwards
	cost       uint64
	over       bool
	remaining  uint64
	reset      time.Duration
	retryAfter time.Duration
}

func run(t *testing.T, name string, l *limit, steps ...step) {
	t.Helper()
	var s state
	for i, c := range steps {
		var r mesh.QuotaResult
		s, r = spend(t0+int64(c.at), l, s, c.cost)
		want := mesh.QuotaResult{Over: c.over, Limit: l.n, Remaining: c.remaining, Reset: c.reset, RetryAfter: c.retryAfter}
		if r != want {
			t.Errorf("%s, step %d:\n got %+v\nwant %+v", name, i, r, want)
		}
	}
}

func TestGCRA(t *testing.T) {
	const ms, s, h = time.Millisecond, time.Second, time.Hour
	day := 24 * h

	run(t, "one by one", gcraLimit(2, s, 0),
		step{0, 1, false, 1, 500 * ms, 0},
		step{0, 1, false, 0, s, 0},
		step{0, 1, true, 0, s, 500 * ms},
		step{499 * ms, 1, true, 0, 501 * ms, ms},
		step{500 * ms, 1, false, 0, s, 0},
		step{500 * ms, 1, true, 0, s, 500 * ms},
		step{1500 * ms, 0, false, 2, 0, 0})
	run(t, "a burst above the limit", gcraLimit(1, s, 3),
		step{0, 3, false, 0, 3 * s, 0},
		step{s, 2, true, 1, 2 * s, s},
		step{s, 1, false, 0, 3 * s, 0},
		step{4 * s, 3, false, 0, 3 * s, 0})
	run(t, "a burst below the limit", gcraLimit(10, s, 1),
		step{0, 1, false, 0, 100 * ms, 0},
		step{50 * ms, 1, true, 0, 50 * ms, 50 * ms},
		step{100 * ms, 1, false, 0, 100 * ms, 0})
	run(t, "more than there ever is", gcraLimit(5, s, 0),
		step{0, 6, true, 5, 0, mesh.Never},
		step{0, 5, false, 0, s, 0},
		step{0, math.MaxUint64, true, 0, s, mesh.Never})
	run(t, "nothing is asked for", gcraLimit(5, s, 0),
		step{0, 0, false, 5, 0, 0},
		step{0, 5, false, 0, s, 0},
		step{0, 0, false, 0, s, 0})
	run(t, "a third of a second is not a number of nanoseconds", gcraLimit(3, s, 1),
		step{0, 1, false, 0, 333333334, 0},
		step{333333333, 1, true, 0, 1, 1},
		step{333333334, 1, false, 0, 333333333 + 1, 0})
	run(t, "tokens come in part", gcraLimit(1, s, 10),
		step{0, 10, false, 0, 10 * s, 0},
		step{1999 * ms, 0, false, 1, 8001 * ms, 0},
		step{2000 * ms, 0, false, 2, 8 * s, 0})
	run(t, "full is full", gcraLimit(1, s, 2),
		step{0, 2, false, 0, 2 * s, 0},
		step{1000 * h, 2, false, 0, 2 * s, 0},
		step{1000 * h, 1, true, 0, 2 * s, s})
	run(t, "the clock steps back: an empty bucket, no longer one", gcraLimit(1, s, 2),
		step{0, 2, false, 0, 2 * s, 0},
		step{-h, 1, true, 0, 2 * s, s},
		step{-h + s, 1, false, 0, 2 * s, 0})
	run(t, "the clock steps back a little", gcraLimit(10, s, 10),
		step{0, 2, false, 8, 200 * ms, 0},
		step{-100 * ms, 1, false, 6, 400 * ms, 0})
	run(t, "a month, slowly", gcraLimit(1, 30*day, 0),
		step{0, 1, false, 0, 30 * day, 0},
		step{30*day - 1, 1, true, 0, 1, 1},
		step{30 * day, 1, false, 0, 30 * day, 0})
	run(t, "a great many", gcraLimit(maxTokens, s, 0),
		step{0, maxTokens, false, 0, s, 0},
		step{1, 1099, false, 0, s, 0},
		step{1, 1, true, 0, s, 1},
		step{s, maxTokens - 1099, false, 0, s, 0})
	run(t, "the longest fill", gcraLimit(1, maxPer, 10),
		step{0, 10, false, 0, 10 * maxPer, 0},
		step{maxPer, 1, false, 0, 10 * maxPer, 0})
}

func TestGCRALimitChanges(t *testing.T) {
	// Three tokens of four in half the time are half the debt of six in eight.
	s, _ := spend(t0, gcraLimit(8, time.Second, 0), state{}, 8)
	s, r := spend(t0, gcraLimit(4, time.Second, 0), s, 0)
	if r.Remaining != 0 || r.Reset != time.Second {
		t.Errorf("after a lower limit: %+v; want the debt to be a second still", r)
	}
	_, r = spend(t0, gcraLimit(4, time.Second, 8), s, 0)
	if r.Remaining != 4 {
		t.Errorf("after a higher burst: %d left; want 4", r.Remaining)
	}
	_, r = spend(t0, gcraLimit(4, time.Second, 1), s, 1)
	if !r.Over || r.RetryAfter != 250*time.Millisecond {
		t.Errorf("after a lower burst: %+v; want an empty bucket and no longer debt", r)
	}
}

func TestRefund(t *testing.T) {
	f := func(l *limit, spent, back uint64, after time.Duration, remaining uint64) {
		t.Helper()
		s, _ := spend(t0, l, state{}, spent)
		now := t0 + int64(after)
		_, r := spend(now, l, refund(now, l, s, back), 0)
		if r.Remaining != remaining {
			t.Errorf("%d spent, %d back after %s: %d left; want %d", spent, back, after, r.Remaining, remaining)
		}
	}
	l := gcraLimit(10, time.Second, 0)
	f(l, 10, 4, 0, 4)
	f(l, 10, 10, 0, 10)
	f(l, 10, 4, 500*time.Millisecond, 9)
	f(l, 10, 10, 500*time.Millisecond, 10) // not fifteen
	f(l, 1, 10, 0, 10)
	f(l, 1, math.MaxUint64, time.Hour, 10)
	w := windowLimit(10, time.Second)
	f(w, 10, 4, 0, 4)
	f(w, 10, 4, time.Minute, 10)
	f(w, 1, 4, 0, 10)
}

// bucket is GCRA as a token bucket in exact fractions: the oracle.
type bucket struct {
	l     *limit
	level *big.Rat
	at    int64
}

func (b *bucket) spend(now int64, cost uint64) bool {
	if b.level == nil {
		b.level = rat(b.l.burst)
	} else {
		came := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(now-b.at), new(big.Int).SetUint64(b.l.n)), new(big.Int).SetUint64(b.l.per))
		b.level.Add(b.level, came)
		if full := rat(b.l.burst); b.level.Cmp(full) > 0 {
			b.level = full
		}
	}
	b.at = now
	if c := rat(cost); b.level.Cmp(c) >= 0 {
		b.level.Sub(b.level, c)
		return true
	}
	return false
}

func (b *bucket) refund(n uint64) {
	b.level.Add(b.level, rat(n))
	if full := rat(b.l.burst); b.level.Cmp(full) > 0 {
		b.level = full
	}
}

func (b *bucket) tokens() uint64 {
	return new(big.Int).Quo(b.level.Num(), b.level.Denom()).Uint64()
}

func rat(n uint64) *big.Rat { return new(big.Rat).SetInt(new(big.Int).SetUint64(n)) }

// randomLimit is one that Check admits.
func randomLimit(r *rand.Rand) *limit {
	for {
		q := mesh.Quota{
			Name: "q", Limit: 1 + r.Uint64N(1<<r.IntN(40)), Per: minPer + time.Duration(r.Int64N(1<<r.IntN(54))),
			Burst: r.Uint64N(1 << r.IntN(40)),
		}
		if Check(&q) == nil {
			l := limitOf(&q)
			return &l
		}
	}
}

// TestGCRAIsABucket: every answer is that of the exact bucket, however long it
// goes on: nothing drifts.
func TestGCRAIsABucket(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		l := randomLimit(r)
		b := &bucket{l: l}
		now, s := t0, state{}
		for i := range 200 {
			// As often about as long as a token takes as for very long.
			now += r.Int64N(2 + int64(l.span(1+r.Uint64N(l.burst)).ns))
			cost := r.Uint64N(l.burst + 2)
			if r.IntN(2) == 0 {
				cost = 1
			}
			var got mesh.QuotaResult
			s, got = spend(now, l, s, cost)
			if want := b.spend(now, cost); got.Over == want || got.Remaining != b.tokens() {
				t.Fatalf("%+v, charge %d of %d: over %v, %d left; the bucket says %v, %d", *l, i, cost, got.Over, got.Remaining, !want, b.tokens())
			}
			if got.Over && got.RetryAfter != mesh.Never {
				if _, early := spend(now+int64(got.RetryAfter)-1, l, s, cost); !early.Over {
					t.Fatalf("%+v: it passes before RetryAfter %s", *l, got.RetryAfter)
				}
				if _, then := spend(now+int64(got.RetryAfter), l, s, cost); then.Over {
					t.Fatalf("%+v: it does not pass after RetryAfter %s", *l, got.RetryAfter)
				}
			}
			if _, full := spend(now+int64(got.Reset), l, s, 0); full.Remaining != l.burst {
				t.Fatalf("%+v: %d left after Reset; want %d", *l, full.Remaining, l.burst)
			}
			if r.IntN(8) == 0 {
				back := r.Uint64N(cost + 1)
				s = refund(now, l, s, back)
				b.refund(back)
			}
		}
	}
}

// TestGCRAInAnyInterval is the promise, by brute force: over any interval no
// more than burst + rate × time, also when the clock steps back, where each
// step may add a burst.
func TestGCRAInAnyInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		l := gcraLimit(1+r.Uint64N(50), time.Duration(1+r.Int64N(1000))*time.Millisecond, 1+r.Uint64N(100))
		var at []int64
		var admitted []uint64
		now, s := t0, state{}
		for range 300 {
			now += r.Int64N(int64(l.per) / 4)
			cost := r.Uint64N(4)
			var got mesh.QuotaResult
			if s, got = spend(now, l, s, cost); !got.Over {
				at, admitted = append(at, now), append(admitted, cost)
			}
		}
		for i := range at {
			sum := uint64(0)
			for j := i; j < len(at); j++ {
				sum += admitted[j]
				// sum <= burst + n*(at[j]-at[i])/per
				if (sum-min(sum, l.burst))*l.per > l.n*uint64(at[j]-at[i]) {
					t.Fatalf("%+v: %d in %s", *l, sum, time.Duration(at[j]-at[i]))
				}
			}
		}
	}
}

// TestGCRAClockSteps: the time that passes between steps is never paid for
// twice, and nobody is locked out for longer than an empty bucket takes.
func TestGCRAClockSteps(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		l := gcraLimit(1+r.Uint64N(50), time.Second, 1+r.Uint64N(100))
		now, s := t0, state{}
		var passed, forward uint64
		for range 300 {
			if r.IntN(10) == 0 {
				now -= r.Int64N(int64(time.Hour))
			} else {
				d := r.Int64N(int64(time.Second))
				now += d
				forward += uint64(d)
			}
			var got mesh.QuotaResult
			if s, got = spend(now, l, s, 1); !got.Over {
				passed++
			} else if got.RetryAfter > l.span(l.burst).up() {
				t.Fatalf("%+v: to come again in %s", *l, got.RetryAfter)
			}
		}
		if passed > l.burst && (passed-l.burst)*l.per > l.n*forward {
			t.Fatalf("%+v: %d passed in %s of time that went by", *l, passed, time.Duration(forward))
		}
	}
}

// FuzzSpend: whatever was restored or configured, the arithmetic ends, stays
// within the limit and gives nothing for nothing.
func FuzzSpend(f *testing.F) {
	f.Add(uint64(100), uint64(time.Second), uint64(200), false, t0, t0+5e8, uint64(7), uint64(3), int64(1e9))
	f.Fuzz(func(t *testing.T, n, per, burst uint64, window bool, now, until int64, taken, cost uint64, later int64) {
		q := mesh.Quota{Name: "q", Limit: n, Per: time.Duration(per), Burst: burst}
		if window {
			q.Algorithm, q.Burst = mesh.FixedWindow, 0
		}
		if Check(&q) != nil || now < 0 || now > 1<<62 || later < 0 || later > 1<<61 {
			t.Skip("no limit that is taken, or no time that a clock shows")
		}
		l := limitOf(&q)
		s, r := spend(now, &l, state{until, taken}, cost)
		if r.Remaining > l.burst || r.Reset < 0 || r.RetryAfter < 0 || r.Over && r.RetryAfter == 0 {
			t.Fatalf("%+v", r)
		}
		_, again := spend(now, &l, s, 0)
		if again.Remaining != r.Remaining {
			t.Fatalf("%d left, then %d", r.Remaining, again.Remaining)
		}
		if !r.Over && cost > 0 {
			if _, before := spend(now, &l, state{until, taken}, 0); before.Remaining < cost || before.Remaining-cost != r.Remaining {
				t.Fatalf("%d before a charge of %d, %d after", before.Remaining, cost, r.Remaining)
			}
			if _, back := spend(now, &l, refund(now, &l, s, cost), 0); back.Remaining < r.Remaining+cost {
				t.Fatalf("%d after the refund; want %d", back.Remaining, r.Remaining+cost)
			}
		}
		if _, then := spend(now+later, &l, s, 0); then.Remaining < r.Remaining {
			t.Fatalf("%d left, and %d after %s", r.Remaining, then.Remaining, time.Duration(later))
		}
	})
}

func BenchmarkSpend(b *testing.B) {
	l := gcraLimit(100, time.Second, 200)
	b.ReportAllocs()
	var s state
	for i := range b.N {
		s, _ = spend(t0+int64(i)*1e7, l, s, 1)
	}
}
