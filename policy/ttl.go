package policy

import "time"

// Why a decision is not kept, as metrics name it.
const (
	keptNoStore  = "no_store"  // the result says so
	keptNoTTL    = "no_ttl"    // it rests on something that changes and states no TTL
	keptExpired  = "expired"   // its time, or that of a token, is already over
	keptTooLarge = "too_large" // for the cache
)

// life says until when a result may be given again to the same key, or why not
// at all. began is when its evaluation began: what it read of the clock it read
// after that.
func (c *CacheConfig) life(began time.Time, s *Shape, r *Result) (expires time.Time, reason string) {
	h := &r.Cache
	if h.NoStore {
		return time.Time{}, keptNoStore
	}
	stated := h.HasTTL || s.TTL > 0 || !h.NotAfter.IsZero()
	if s.NeedsTTL && !stated {
		return time.Time{}, keptNoTTL
	}
	ttl := c.MaxTTL
	if !stated {
		ttl = min(ttl, c.DefaultTTL)
	}
	if h.HasTTL {
		ttl = min(ttl, h.TTL)
	}
	if s.TTL > 0 {
		ttl = min(ttl, s.TTL)
	}
	if !r.Verdict.Allowed {
		ttl = min(ttl, c.DenyTTL)
	}
	expires = began.Add(ttl)
	for _, t := range [...]time.Time{h.NotAfter, r.Expires} {
		if !t.IsZero() && t.Before(expires) {
			expires = t
		}
	}
	if !expires.After(began) {
		return time.Time{}, keptExpired
	}
	return expires, ""
}
