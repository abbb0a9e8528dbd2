package quota

import (
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// windowEnd is the end of the window that now is in: windows begin at multiples
// of per since 1970, as in envoyproxy/ratelimit.
func windowEnd(now int64, per uint64) int64 {
	return now - now%int64(per) + int64(per)
}

// currentWindow is s as of now. A window that lies ahead because the clock
// stepped back goes on with what was taken, for no longer than a window.
func currentWindow(now int64, per uint64, s state) state {
	switch {
	case s.until <= now:
		return state{until: windowEnd(now, per)}
	case s.until-now > int64(per):
		return state{until: windowEnd(now, per), n: s.n}
	}
	return s
}

// spendWindow counts in windows that have nothing to do with each other.
func spendWindow(now int64, l *limit, s state, cost uint64) (state, mesh.QuotaResult) {
	s = currentWindow(now, l.per, s)
	r := mesh.QuotaResult{Limit: l.n, Reset: time.Duration(s.until - now)}
	left := l.n - min(s.n, l.n)
	switch {
	case cost > l.n:
		r.Over, r.RetryAfter = true, mesh.Never
	case cost > left || s.n > l.n:
		r.Over, r.RetryAfter = true, r.Reset
	default:
		s.n += cost
		left -= cost
	}
	r.Remaining = left
	return s, r
}

// refundWindow gives back to the window that the charge was in; one that is over
// wants nothing.
func refundWindow(now int64, s state, cost uint64) state {
	if s.until > now {
		s.n -= min(s.n, cost)
	}
	return s
}
