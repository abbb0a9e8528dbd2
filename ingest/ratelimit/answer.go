package ratelimit

import (
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// Codes of RateLimitResponse.
const (
	codeOK        = 1
	codeOverLimit = 2
)

// Fields of RateLimitResponse and of DescriptorStatus.
const (
	responseCode     = 1
	responseStatuses = 2
	responseHeaders  = 3
	responseBody     = 5
	responseMetadata = 6

	statusCode      = 1
	statusLimit     = 2
	statusRemaining = 3
	statusReset     = 4
)

// status is what a descriptor comes to.
type status struct {
	code      uint64
	limited   bool // there is a current limit
	requests  uint32
	limit     []byte // RateLimit, serialised
	remaining uint32
	reset     time.Duration // in whole seconds
	retry     time.Duration
	violation bool // over the limit, in quota mode
}

// seconds rounds up: a client that waits as long as it is told must not come too
// early.
func seconds(d time.Duration) time.Duration {
	if r := d % time.Second; r > 0 {
		d += min(time.Second-r, math.MaxInt64-d)
	}
	return d / time.Second
}

// rateLimit returns a RateLimitResponse.RateLimit.
func rateLimit(b []byte, name string, requests uint32, unit mesh.LimitUnit, multiplier uint32) []byte {
	if requests > 0 {
		b = wire.AppendVarint(b, 1, uint64(requests))
	}
	b = wire.AppendVarint(b, 2, uint64(unit))
	if name != "" {
		b = wire.AppendString(b, 3, name)
	}
	if multiplier > 1 {
		b = wire.AppendMessage(b, 4, wire.AppendVarint(nil, 1, uint64(multiplier)))
	}
	return b
}

// append writes a DescriptorStatus as a field of the response.
func (s *status) append(b []byte) []byte {
	size := 2
	if s.limited {
		size += wire.FieldSize(len(s.limit))
	}
	if s.remaining > 0 {
		size += 1 + sizeVarint(uint64(s.remaining))
	}
	reset := 0
	if s.limited && s.reset > 0 {
		reset = 1 + sizeVarint(uint64(s.reset))
		size += 2 + reset
	}
	b = wire.AppendHead(b, responseStatuses, size)
	b = append(b, statusCode<<3|wire.Varint, byte(s.code))
	if s.limited {
		b = wire.AppendMessage(b, statusLimit, s.limit)
	}
	if s.remaining > 0 {
		b = wire.AppendVarint(b, statusRemaining, uint64(s.remaining))
	}
	if reset > 0 {
		b = wire.AppendHead(b, statusReset, reset)
		b = wire.AppendVarint(b, 1, uint64(s.reset))
	}
	return b
}

func sizeVarint(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// nearest returns the status that the headers are about: the last that is over
// its limit, else the one with the least left; nil if none has a limit.
func nearest(statuses []status) *status {
	var n *status
	for i := range statuses {
		s := &statuses[i]
		if !s.limited {
			continue
		}
		if s.code == codeOverLimit || n == nil || n.code != codeOverLimit && s.remaining < n.remaining {
			n = s
		}
	}
	return n
}

// appendHeaders writes response_headers_to_add.
func appendHeaders(b []byte, h *HeadersConfig, s *status) []byte {
	b = appendHeader(b, h.Limit, uint64(s.requests))
	b = appendHeader(b, h.Remaining, uint64(s.remaining))
	b = appendHeader(b, h.Reset, uint64(s.reset))
	if s.code == codeOverLimit {
		b = appendHeader(b, h.RetryAfter, uint64(s.retry))
	}
	return b
}

func appendHeader(b []byte, name string, v uint64) []byte {
	if name == "" {
		return b
	}
	var digits [20]byte
	value := strconv.AppendUint(digits[:0], v, 10)
	b = wire.AppendHead(b, responseHeaders, wire.FieldSize(len(name))+wire.FieldSize(len(value)))
	b = wire.AppendString(b, 1, name)
	return wire.AppendMessage(b, 2, value)
}

// appendBytes is for the fields that few answers have.
func appendBytes(b []byte, field int, s string) []byte {
	return wire.AppendString(b, protowire.Number(field), s)
}
