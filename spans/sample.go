package spans

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// why is a reason to sample.
type why uint8

const (
	whyProxy why = iota
	whyError
	whyDenied
	whySlow
	whyEdgeP99
	whyHead

	numWhys
)

// String returns the value of the label.
func (w why) String() string {
	return [...]string{"proxy", "error", "denied", "slow", "edge_p99", "head"}[w]
}

// sampler is the sampling of one configuration.
type sampler struct {
	auto    bool
	enabled [numWhys]bool
	rates   [numWhys]*rate
	slow    time.Duration
	head    uint64 // trace ids at or above are sampled: see headRange
	always  bool   // every trace is sampled by ratio
}

func newSampler(cfg *Config) *sampler {
	s := &sampler{auto: cfg.Mode == ModeAuto, slow: cfg.Sampling.Slow.Over, always: cfg.Sampling.Head.Ratio >= 1}
	set := func(w why, on bool, perSecond float64) {
		s.enabled[w], s.rates[w] = on, newRate(perSecond)
	}
	c := &cfg.Sampling
	set(whyProxy, c.Proxy.Enabled, c.Proxy.PerSecond)
	set(whyError, c.Error.Enabled, c.Error.PerSecond)
	set(whyDenied, c.Denied.Enabled, c.Denied.PerSecond)
	set(whySlow, c.Slow.Over > 0, c.Slow.PerSecond)
	set(whyEdgeP99, c.EdgeP99.Enabled, c.EdgeP99.PerSecond)
	set(whyHead, c.Head.Ratio > 0, c.Head.PerSecond)
	s.head = headRange - uint64(math.Ceil(c.Head.Ratio*headRange))
	return s
}

// reasons is a set of why, by bit.
type reasons uint8

// of returns the reasons that there are to sample e. slow says that it was above
// the p99 of its edge.
func (s *sampler) of(e *mesh.Entry, slow bool) (set reasons) {
	if e.TraceSampled && s.enabled[whyProxy] {
		set |= 1 << whyProxy
	}
	if s.enabled[whyError] && e.IsError() {
		set |= 1 << whyError
	}
	if s.enabled[whyDenied] && denied(e) {
		set |= 1 << whyDenied
	}
	if s.enabled[whySlow] && e.Duration > s.slow {
		set |= 1 << whySlow
	}
	if slow && s.enabled[whyEdgeP99] {
		set |= 1 << whyEdgeP99
	}
	if s.enabled[whyHead] && (s.always || s.likely(e) && randomness(e) >= s.head) {
		set |= 1 << whyHead
	}
	return set
}

// admit returns the first of the reasons whose rate allows one more. over are
// those that did not.
func (s *sampler) admit(set reasons, now int64) (w why, over reasons, ok bool) {
	for w := range numWhys {
		if set&(1<<w) == 0 {
			continue
		}
		if s.rates[w].allow(now) {
			return w, over, true
		}
		over |= 1 << w
	}
	return 0, over, false
}

// denied reports whether somebody let the request not pass: ext_authz or a rate
// limit by its flag, an RBAC filter or the application by the status.
func denied(e *mesh.Entry) bool {
	const flags = mesh.Flags(1)<<11 | 1<<12 // RL UAEX
	return e.Flags&flags != 0 || e.Code == 401 || e.Code == 403 || e.Code == 429 || e.GRPCStatus == 7 || e.GRPCStatus == 16
}

// headRange is the number of values that the random part of a trace id has.
// Source: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling
const headRange = 1 << 56

// likely is whether e may be of the ratio by the first byte of its randomness: most
// are not, and no more of the id need be read. Of an x-request-id the whole must be
// read to know whether it is a UUID.
func (s *sampler) likely(e *mesh.Entry) bool {
	if len(e.TraceID) < 16 {
		return true
	}
	id := e.TraceID[len(e.TraceID)-14:]
	return uint64(digits[id[0]])<<52|uint64(digits[id[1]])<<48|(1<<48-1) >= s.head
}

// randomness returns the last seven bytes of the trace id that the span of e has.
func randomness(e *mesh.Entry) uint64 {
	var id traceID
	if n := len(e.TraceID); n >= 16 {
		if !unhex(id[8:], e.TraceID[n-16:]) {
			return 0
		}
	} else if e.RequestID != "" {
		id = requestTrace(e.RequestID)
	}
	return binary.BigEndian.Uint64(id[8:]) % headRange
}
