package quota

import (
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// debtGCRA is how long after now the key is full again. A debt beyond burst can
// only come of a clock that stepped back, or of a limit that shrank: it becomes
// an empty bucket, not a longer one.
func debtGCRA(now int64, l *limit, s state, full span) span {
	if s.until < now {
		return span{}
	}
	debt := span{uint64(s.until) - uint64(now), min(s.n, l.n-1)}
	if full.less(debt) {
		return full
	}
	return debt
}

// spendGCRA is the generic cell rate algorithm (ITU-T I.371, virtual
// scheduling): a charge moves the instant at which the key is full again by what
// its tokens take to come, and passes if that is not more than burst away.
func spendGCRA(now int64, l *limit, s state, cost uint64) (state, mesh.QuotaResult) {
	full := l.span(l.burst)
	debt := debtGCRA(now, l, s, full)
	r := mesh.QuotaResult{Limit: l.n}
	switch {
	case cost > l.burst:
		r.Over, r.RetryAfter = true, mesh.Never
	default:
		after := debt.add(l.span(cost), l.n)
		if full.less(after) {
			r.Over, r.RetryAfter = true, after.sub(full, l.n).up()
		} else {
			debt = after
		}
	}
	r.Remaining = l.tokens(full.sub(debt, l.n))
	r.Reset = debt.up()
	return state{now + int64(debt.ns), debt.frac}, r
}

// refundGCRA moves the instant back. A key that is full by now stays so: what is
// given back is no more than what would have been.
func refundGCRA(now int64, l *limit, s state, cost uint64) state {
	debt := debtGCRA(now, l, s, l.span(l.burst))
	back := l.span(min(cost, l.burst))
	if !back.less(debt) {
		return state{until: now}
	}
	debt = debt.sub(back, l.n)
	return state{now + int64(debt.ns), debt.frac}
}

// rate is the tokens of l in d, rounded down.
func (l *limit) rate(d time.Duration) uint64 {
	big := *l
	big.burst = maxTokens
	return big.tokens(span{ns: uint64(d)})
}
