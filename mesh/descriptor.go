package mesh

import (
	"context"
	"sync/atomic"
	"time"
)

// LimitUnit is the unit of a rate limit, in the numbers of
// envoy.service.ratelimit.v3.RateLimitResponse.RateLimit.Unit.
type LimitUnit uint8

const (
	UnitUnknown LimitUnit = iota
	UnitSecond
	UnitMinute
	UnitHour
	UnitDay
	UnitMonth // 30 days
	UnitYear  // 365 days
	UnitWeek
)

var (
	unitNames     = [...]string{"unknown", "second", "minute", "hour", "day", "month", "year", "week"}
	unitDurations = [...]time.Duration{
		0, time.Second, time.Minute, time.Hour, 24 * time.Hour, 30 * 24 * time.Hour, 365 * 24 * time.Hour, 7 * 24 * time.Hour,
	}
)

// String returns the name that configurations use.
func (u LimitUnit) String() string {
	if int(u) < len(unitNames) {
		return unitNames[u]
	}
	return unitNames[UnitUnknown]
}

// Duration returns how long the unit is; 0 if it is none.
func (u LimitUnit) Duration() time.Duration {
	if int(u) < len(unitDurations) {
		return unitDurations[u]
	}
	return 0
}

// ParseLimitUnit returns the unit with a name.
func ParseLimitUnit(name string) (LimitUnit, bool) {
	for u := UnitSecond; int(u) < len(unitNames); u++ {
		if unitNames[u] == name {
			return u, true
		}
	}
	return UnitUnknown, false
}

// Descriptor is what a proxy asks one limit for: a list of keys with values, from
// the general to the particular.
type Descriptor struct {
	Entries  []DescriptorEntry
	Cost     uint64        // 0 asks and takes nothing
	Refund   bool          // Cost is given back
	Override LimitOverride // a limit that came with the descriptor
}

// DescriptorEntry is one key with its value.
type DescriptorEntry struct{ Key, Value string }

// LimitOverride takes the place of the limit that a descriptor has by
// configuration. Without Unit there is none.
type LimitOverride struct {
	Requests   uint32
	Unit       LimitUnit
	Multiplier uint32 // units in a period
}

// LimitRule is a limit of a configuration: what all descriptors that match it
// have in common. It is immutable and shared.
type LimitRule struct {
	// Path says where it stands, as envoyproxy/ratelimit names its statistics:
	// "messaging.message_type_marketing.to_number".
	Path       string
	Name       string // given by the configuration; may be empty
	Requests   uint32
	Unit       LimitUnit
	Multiplier uint32 // units in a period; at least 1
	Unlimited  bool   // never charged
	QuotaMode  bool   // an excess is reported, never enforced
	Replaces   []string

	// Rendered is free for the listener that answers: what it makes of the rule it
	// need not make again.
	Rendered atomic.Value
}

// LimitMatch is what one descriptor comes to.
type LimitMatch struct {
	Rule *LimitRule // nil if nothing limits the descriptor
	// Metric is the name under which the descriptor is counted, if it is not the
	// rule's path.
	Metric string
	// Quota is to be charged if Charge says so. Its strings are lent like those of
	// the request.
	Quota  Quota
	Charge bool
}

// LimitRequest asks for the limits of descriptors. All of it is lent for the
// call; the finder writes Matches, one for each descriptor, and may use and
// replace Scratch, in which strings of Matches may lie.
type LimitRequest struct {
	Domain      string
	Descriptors []Descriptor
	Matches     []LimitMatch
	Scratch     []byte
}

// LimitFinder knows which limits bear on descriptors. A descriptor that nothing
// limits is no error; an error is a failure to find out, or a *LimitRequestError.
type LimitFinder interface {
	FindLimits(ctx context.Context, r *LimitRequest) error
}

// LimitRequestError is the error of a request that nobody could answer.
type LimitRequestError struct{ Problem string }

func (e *LimitRequestError) Error() string { return e.Problem }
