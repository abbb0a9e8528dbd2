package quota

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// newTestShared has a Redis that is never asked: tests hand over what it says.
func newTestShared(t testing.TB) (*shared, *int64) {
	t.Helper()
	now := t0
	l, _ := newTestLimiter(t, DefaultConfig())
	cfg := DefaultConfig()
	cfg.OnError = "deny"
	s, err := newShared(&cfg, l.local, func() int64 { return now }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.batcher.breaker.passed()
	return s, &now
}

// granted makes s hold n tokens of q that were taken just now.
func granted(s *shared, q mesh.Quota, n uint64, r reply) *lease {
	l := limitOf(&q)
	sh := &s.shards[leaseShardOf(&q.ID)]
	sh.Lock()
	k := sh.hold(&q, &l, func() uint32 { return s.register.spec(q.Name, l) }, s.now(), s.cfg.LeaseMaxAge)
	sh.Unlock()
	r.taken = n
	s.apply(s.now(), []ask{{item: item{op: opTake, id: q.ID, limit: l, want: n, least: 1}, lease: k}}, []reply{r})
	return k
}

func books(s *shared) [5]uint64 {
	_, held := s.held()
	return [5]uint64{s.books.granted.Load(), s.books.spent.Load(), s.books.returned.Load(), s.books.expired.Load(), held}
}

func chargeLeases(t *testing.T, s *shared, quotas ...mesh.Quota) (bool, []mesh.QuotaResult) {
	t.Helper()
	results := make([]mesh.QuotaResult, len(quotas))
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nobody answers
	took := s.charge(ctx, s.now(), quotas, results, mesh.ChargeAll)
	return took, results
}

func TestLeaseIsSpentAndEnds(t *testing.T) {
	s, now := newTestShared(t)
	q := perSecond("q", "k", 1000)
	granted(s, q, 10, reply{left: 500, reset: 500 * time.Millisecond})
	for i := range 4 {
		if took, r := chargeLeases(t, s, q); !took || r[0].Over || r[0].Source != mesh.QuotaLease {
			t.Errorf("charge %d: %v %+v", i, took, r)
		}
	}
	if got, want := books(s), [5]uint64{10, 4, 0, 0, 6}; got != want {
		t.Errorf("books %v; want %v", got, want)
	}
	*now += int64(s.cfg.LeaseMaxAge)
	s.tick(*now)
	if n := len(s.batcher.returns); n != 1 || s.batcher.returns[0].want != 6 || s.batcher.returns[0].op != opRefund {
		t.Errorf("at its maximum age: %+v; want 6 tokens on their way back", s.batcher.returns)
	}
	s.apply(*now, s.batcher.returns, []reply{{taken: 6}})
	s.batcher.returns = nil
	if got, want := books(s), [5]uint64{10, 4, 6, 0, 0}; got != want {
		t.Errorf("books %v; want %v", got, want)
	}
}

// TestLeaseOfAWindow: its tokens end with the window.
func TestLeaseOfAWindow(t *testing.T) {
	s, now := newTestShared(t)
	q := perSecond("q", "k", 1000)
	q.Algorithm = mesh.FixedWindow
	q.Identify(nil)
	granted(s, q, 10, reply{left: 500, reset: 20 * time.Millisecond, end: 77})
	*now += int64(20 * time.Millisecond)
	if took, r := chargeLeases(t, s, q); took || r[0].Source != mesh.QuotaFailed {
		t.Errorf("after the window: %v %+v; want to ask Redis", took, r)
	}
	if len(s.batcher.returns) != 1 || s.batcher.returns[0].end != 77 {
		t.Errorf("%+v; want the tokens offered to their window alone", s.batcher.returns)
	}
	s.apply(*now, s.batcher.returns, []reply{{taken: 0}}) // it is over
	if got, want := books(s), [5]uint64{10, 0, 0, 10, 0}; got != want {
		t.Errorf("books %v; want %v", got, want)
	}
}

// TestLeasesAllOrNone: what one lease gave goes back when another has nothing.
func TestLeasesAllOrNone(t *testing.T) {
	s, _ := newTestShared(t)
	a, b := perSecond("a", "k", 1000), perSecond("b", "k", 1000)
	k := granted(s, a, 10, reply{left: 500})
	granted(s, b, 0, reply{left: 0, reset: time.Second, retry: time.Millisecond})
	took, r := chargeLeases(t, s, a, b, a)
	if took || r[0].Over || !r[1].Over || r[1].RetryAfter < s.tickEvery() {
		t.Errorf("%v %+v", took, r)
	}
	if k.left() != 10 || k.charges != 0 {
		t.Errorf("%d left, %d charges; want it untouched", k.left(), k.charges)
	}
	if len(s.batcher.urgent) != 0 {
		t.Errorf("%+v; want nothing asked", s.batcher.urgent)
	}
}

// TestDryIsByCost: what Redis has too little of for one may do for another.
func TestDryIsByCost(t *testing.T) {
	s, now := newTestShared(t)
	q := perSecond("q", "k", 1000)
	granted(s, q, 0, reply{left: 100, reset: 900 * time.Millisecond})
	q.Cost = 200
	if took, r := chargeLeases(t, s, q); took || r[0].Source != mesh.QuotaLease || r[0].RetryAfter != 100*time.Millisecond {
		t.Errorf("more than is left: %v %+v; want it refused here", took, r)
	}
	q.Cost = 50
	if _, r := chargeLeases(t, s, q); r[0].Source != mesh.QuotaFailed {
		t.Errorf("less than is left: %+v; want Redis asked", r)
	}
	*now += int64(100 * time.Millisecond)
	q.Cost = 200
	s.unask(s.batcher.urgent)
	if _, r := chargeLeases(t, s, q); r[0].Source != mesh.QuotaFailed {
		t.Errorf("when there is enough: %+v; want Redis asked", r)
	}
}

// TestLeaseTokens: random grants, charges and time: no token is spent twice, none
// that is too old.
func TestLeaseTokens(t *testing.T) {
	s, now := newTestShared(t)
	r := rand.New(rand.NewPCG(13, 14))
	q := perSecond("q", "k", 1000)
	type grant struct{ at, n int64 }
	var grants []grant
	spent := int64(0)
	for range 5000 {
		*now += r.Int64N(int64(30 * time.Millisecond))
		switch r.IntN(3) {
		case 0:
			n := 1 + r.Int64N(20)
			granted(s, q, uint64(n), reply{left: 500, reset: 500 * time.Millisecond})
			grants = append(grants, grant{*now, n})
		case 1:
			s.tick(*now)
		default:
			q.Cost = 1 + r.Uint64N(5)
			young := int64(0)
			for _, g := range grants {
				if *now-g.at < int64(s.cfg.LeaseMaxAge) {
					young += g.n
				}
			}
			if took, _ := chargeLeases(t, s, q); took {
				spent += int64(q.Cost)
				if int64(q.Cost) > young {
					t.Fatal("tokens were spent that are older than a lease may grow")
				}
			}
		}
		b := books(s)
		waiting := uint64(0)
		for _, a := range s.batcher.returns {
			waiting += a.want
		}
		if b[0] != b[1]+b[2]+b[3]+b[4]+waiting || b[1] != uint64(spent) {
			t.Fatalf("books %v, %d on their way back, %d spent", b, waiting, spent)
		}
		for _, queue := range []*[]ask{&s.batcher.urgent, &s.batcher.refills} {
			s.unask(*queue)
			*queue = nil
		}
	}
	if spent == 0 {
		t.Error("nothing was spent")
	}
}

func TestBreaker(t *testing.T) {
	var b breaker
	if !b.closed() || b.failed(t0) || !b.closed() {
		t.Error("one failure opens it")
	}
	b.passed()
	if b.failed(t0) || !b.failed(t0) || b.closed() {
		t.Error("two failures in a row do not open it")
	}
	if b.probe(t0) {
		t.Error("it is tried at once")
	}
	now := t0
	for range 20 {
		now += int64(2 * backoffMost)
		if !b.probe(now) || b.probe(now) {
			t.Fatal("it is not tried once after the longest backoff")
		}
		if wait := time.Duration(b.probeAt - now); wait < backoffMin || wait > backoffMost*3/2 {
			t.Fatalf("to be tried again in %s", wait)
		}
	}
	if !b.passed() || b.passed() || !b.closed() {
		t.Error("a success does not close it")
	}
}

func TestLeaseChargeAllocatesNothing(t *testing.T) {
	s, _ := newTestShared(t)
	quotas := []mesh.Quota{perSecond("a", "k", 1<<30), perSecond("b", "k", 1<<30), perSecond("c", "k", 1<<30)}
	for _, q := range quotas {
		granted(s, q, 1<<20, reply{left: 1 << 29})
	}
	results := make([]mesh.QuotaResult, len(quotas))
	if n := testing.AllocsPerRun(1000, func() { s.charge(t.Context(), s.now(), quotas, results, mesh.ChargeAll) }); n != 0 {
		t.Errorf("%v allocations per charge of three quotas from leases; want 0", n)
	}
}

func TestReasons(t *testing.T) {
	f := func(err error, want string) {
		t.Helper()
		if got := reason(err); got != want {
			t.Errorf("%v: %s; want %s", err, got, want)
		}
	}
	f(context.DeadlineExceeded, "timeout")
	f(errNotConnected, "not_connected")
	f(errors.New("broken pipe"), "connection")
}
