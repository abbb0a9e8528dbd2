package ratelimit

import (
	"context"
	"math"

	"github.com/tallygate/tallygate/mesh"
)

// charge charges what the descriptors matched, each for itself.
func (s *Server) charge(ctx context.Context, c *call) {
	c.quotas, c.charged = c.quotas[:0], c.charged[:0]
	for i := range c.Matches {
		// A limit of nothing needs no books: it refuses all that costs something.
		if m := &c.Matches[i]; m.Charge && m.Quota.Limit > 0 {
			c.quotas, c.charged = append(c.quotas, m.Quota), append(c.charged, i)
		}
	}
	if cap(c.results) < len(c.quotas) {
		c.results = make([]mesh.QuotaResult, len(c.quotas), cap(c.quotas))
	}
	c.results = c.results[:len(c.quotas)]
	if len(c.quotas) > 0 {
		s.limiter.Charge(ctx, c.quotas, c.results, mesh.ChargeEach)
	}
}

// rendered is what a rule comes to in answers, made once.
type rendered struct {
	limit   []byte // RateLimit, serialised
	figures *figures
}

func (s *Server) render(r *mesh.LimitRule) *rendered {
	if x, ok := r.Rendered.Load().(*rendered); ok {
		return x
	}
	x := &rendered{limit: rateLimit(nil, r.Name, r.Requests, r.Unit, r.Multiplier), figures: s.books.of(r.Path)}
	r.Rendered.Store(x)
	return x
}

// respond writes the answer.
func (s *Server) respond(cfg *Config, c *call) ([]byte, outcome) {
	c.statuses, c.limits = c.statuses[:0], c.limits[:0]
	size, next, o := 2, 0, outcomeOK
	for i := range c.Matches {
		var r mesh.QuotaResult
		m := &c.Matches[i]
		switch {
		case !m.Charge:
		case m.Quota.Limit == 0:
			r.Over = m.Quota.Cost > 0 && !m.Quota.Refund
			r.Reset = m.Quota.Per
		default:
			r = c.results[next]
			next++
		}
		st := s.status(cfg, c, i, &r)
		if st.code == codeOverLimit {
			o = outcomeOverLimit
		}
		size += 24 + len(st.limit)
		c.statuses = append(c.statuses, st)
	}
	overall := byte(codeOK)
	switch {
	case o == outcomeOverLimit && cfg.Shadow:
		o = outcomeShadow
	case o == outcomeOverLimit:
		overall = codeOverLimit
	}
	if cfg.ResponseHeaders.Enabled {
		size += 160
	}
	b := append(make([]byte, 0, size), responseCode<<3, overall)
	for i := range c.statuses {
		b = c.statuses[i].append(b)
	}
	if cfg.ResponseHeaders.Enabled {
		if n := nearest(c.statuses); n != nil {
			b = appendHeaders(b, &cfg.ResponseHeaders, n)
		}
	}
	if cfg.Body != "" && overall == codeOverLimit {
		b = appendBytes(b, responseBody, cfg.Body)
	}
	if cfg.DynamicMetadata {
		b = appendBytes(b, responseMetadata, string(metadata(&c.request, c.statuses)))
	}
	return b, o
}

// status counts what became of descriptor i and says it.
func (s *Server) status(cfg *Config, c *call, i int, r *mesh.QuotaResult) status {
	m, st := &c.Matches[i], status{code: codeOK}
	if m.Rule == nil {
		s.m.unmatched.Inc()
		return st
	}
	s.m.matched.Inc()
	x := s.render(m.Rule)
	f := x.figures
	if m.Metric != "" {
		f = s.books.of(m.Metric)
	}
	if m.Rule.Unlimited {
		f.unlimited.Add(c.Descriptors[i].Cost)
		st.remaining = math.MaxUint32
		return st
	}
	q := &m.Quota
	st.limited, st.requests, st.limit = true, m.Rule.Requests, x.limit
	if o := &c.Descriptors[i].Override; o.Unit != mesh.UnitUnknown {
		start := len(c.limits)
		c.limits = rateLimit(c.limits, "", o.Requests, o.Unit, o.Multiplier)
		st.requests, st.limit = o.Requests, c.limits[start:]
	}
	st.remaining = uint32(min(r.Remaining, math.MaxUint32))
	st.reset, st.retry = seconds(r.Reset), seconds(r.RetryAfter)
	if r.RetryAfter == mesh.Never || r.RetryAfter == 0 {
		st.retry = st.reset
	}
	switch {
	case q.Refund:
		f.refunded.Add(q.Cost)
	case !r.Over:
		f.within.Add(q.Cost)
		f.near.Add(nearHits(q, r.Remaining, cfg.NearLimitRatio))
	case q.Shadow:
		f.shadow.Add(q.Cost)
	case m.Rule.QuotaMode || cfg.QuotaMode:
		f.quota.Add(q.Cost)
		st.violation = true
	default:
		f.over.Add(q.Cost)
		st.code = codeOverLimit
	}
	return st
}

// nearHits returns how many of the hits of a charge that passed were above ratio
// of the limit.
func nearHits(q *mesh.Quota, remaining uint64, ratio float64) uint64 {
	after := q.Limit - min(remaining, q.Limit)
	threshold := uint64(float64(q.Limit) * ratio)
	if after <= threshold {
		return 0
	}
	return min(q.Cost, after-threshold)
}
