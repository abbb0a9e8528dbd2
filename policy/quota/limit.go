package quota

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// Bounds of a limit. With them no product below leaves 128 bits and no quotient
// 64.
const (
	maxTokens = 1 << 40
	maxPer    = 366 * 24 * time.Hour
	minPer    = time.Millisecond
	maxFill   = 10 * 366 * 24 * time.Hour // from empty to burst
)

// limit is the arithmetic part of a quota.
type limit struct {
	algorithm mesh.Algorithm
	n         uint64 // tokens in per
	per       uint64 // nanoseconds
	burst     uint64 // the most at once
}

func limitOf(q *mesh.Quota) limit {
	l := limit{algorithm: q.Algorithm, n: q.Limit, per: uint64(q.Per), burst: q.Burst}
	if l.burst == 0 || l.algorithm == mesh.FixedWindow {
		l.burst = l.n
	}
	return l
}

// Check says what is wrong with q, nil if it can be charged.
func Check(q *mesh.Quota) error {
	switch {
	case q.Name == "":
		return fmt.Errorf("name is empty")
	case q.Limit < 1 || q.Limit > maxTokens:
		return fmt.Errorf("limit is %d, not between 1 and %d", q.Limit, uint64(maxTokens))
	case q.Per < minPer || q.Per > maxPer:
		return fmt.Errorf("per is %s, not between %s and %s", q.Per, minPer, time.Duration(maxPer))
	case q.Burst > maxTokens:
		return fmt.Errorf("burst is %d, more than %d", q.Burst, uint64(maxTokens))
	case q.Algorithm == mesh.FixedWindow && q.Burst != 0 && q.Burst != q.Limit:
		return fmt.Errorf("burst is for gcra; a fixed_window has its limit at once")
	}
	if l := limitOf(q); l.span(l.burst).ns > uint64(maxFill) {
		return fmt.Errorf("burst is %d: at %d per %s it takes more than ten years to fill", l.burst, l.n, q.Per)
	}
	return nil
}

// span is a time of ns nanoseconds and frac of a nanosecond's nth parts, n being
// the limit's: what a number of tokens takes to come, exactly.
type span struct{ ns, frac uint64 }

// span returns how long tokens take to come. They must not be more than burst.
func (l *limit) span(tokens uint64) span {
	hi, lo := bits.Mul64(tokens, l.per)
	if hi >= l.n {
		return span{ns: 1 << 63}
	}
	ns, frac := bits.Div64(hi, lo, l.n)
	return span{ns, frac}
}

// tokens returns how many whole tokens come in s.
func (l *limit) tokens(s span) uint64 {
	hi, lo := bits.Mul64(s.ns, l.n)
	lo, carry := bits.Add64(lo, s.frac, 0)
	hi += carry
	if hi >= l.per {
		return l.burst
	}
	n, _ := bits.Div64(hi, lo, l.per)
	return min(n, l.burst)
}

func (s span) less(t span) bool { return s.ns < t.ns || s.ns == t.ns && s.frac < t.frac }

// add and sub count frac in nth parts.
func (s span) add(t span, n uint64) span {
	ns, frac := s.ns+t.ns, s.frac+t.frac
	if frac >= n {
		ns, frac = ns+1, frac-n
	}
	return span{ns, frac}
}

// sub returns s-t, which must not be negative.
func (s span) sub(t span, n uint64) span {
	if s.frac < t.frac {
		return span{s.ns - t.ns - 1, s.frac + n - t.frac}
	}
	return span{s.ns - t.ns, s.frac - t.frac}
}

// up returns s in whole nanoseconds, rounded up.
func (s span) up() time.Duration {
	if s.frac > 0 {
		return time.Duration(s.ns + 1)
	}
	return time.Duration(s.ns)
}

// state is what is remembered of a key: for GCRA the instant at which it is full
// again, with the fraction of a nanosecond in n; for a fixed window its end and
// the tokens taken in it. The zero state has everything left. At until the key
// is as if it had never been charged.
type state struct {
	until int64 // Unix nanoseconds
	n     uint64
}

// idle reports whether forgetting s forgives nothing.
func (s state) idle(now int64) bool { return s.until < now }

// spend charges cost at now. The state is the one to keep; that of a refusal has
// not been charged.
func spend(now int64, l *limit, s state, cost uint64) (state, mesh.QuotaResult) {
	if l.algorithm == mesh.FixedWindow {
		return spendWindow(now, l, s, cost)
	}
	return spendGCRA(now, l, s, cost)
}

// apply does what q asks for at now.
func apply(now int64, l *limit, s state, q *mesh.Quota) (state, mesh.QuotaResult) {
	if q.Refund {
		s, r := spend(now, l, refund(now, l, s, q.Cost), 0)
		r.Over, r.RetryAfter = false, 0
		return s, r
	}
	after, r := spend(now, l, s, q.Cost)
	if r.Over && q.Overdraw {
		after = overdraw(now, l, after, q.Cost)
		r.Remaining = 0
	}
	return after, r
}

// overdraw takes a cost that was refused. A window remembers it until it ends,
// so that also what costs nothing is refused; a bucket is empty.
func overdraw(now int64, l *limit, s state, cost uint64) state {
	if l.algorithm == mesh.FixedWindow {
		s.n = min(s.n, maxTokens) + min(cost, maxTokens)
		return s
	}
	full := l.span(l.burst)
	return state{now + int64(full.ns), full.frac}
}

// refund takes a charge of cost back.
func refund(now int64, l *limit, s state, cost uint64) state {
	if l.algorithm == mesh.FixedWindow {
		return refundWindow(now, s, cost)
	}
	return refundGCRA(now, l, s, cost)
}
