package jaegermodel

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// TraceID is a trace id, big-endian.
type TraceID [16]byte

// High and Low are the halves. An id of 8 bytes has no high half.
func (t TraceID) High() uint64 { return binary.BigEndian.Uint64(t[:8]) }

// Low is the second half.
func (t TraceID) Low() uint64 { return binary.BigEndian.Uint64(t[8:]) }

// String is the id in hex, of 16 digits if the high half is 0.
func (t TraceID) String() string {
	if t.High() == 0 {
		return fmt.Sprintf("%016x", t.Low())
	}
	return fmt.Sprintf("%016x%016x", t.High(), t.Low())
}

// ParseTraceID reads up to 32 hex digits; the errors are Jaeger's.
func ParseTraceID(s string) (t TraceID, err error) {
	if len(s) > 32 {
		return t, fmt.Errorf("TraceID cannot be longer than 32 hex characters: %s", s)
	}
	var high uint64
	if n := len(s) - 16; n > 0 {
		if high, err = strconv.ParseUint(s[:n], 16, 64); err != nil {
			return t, err
		}
		s = s[n:]
	}
	low, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return t, err
	}
	binary.BigEndian.PutUint64(t[:8], high)
	binary.BigEndian.PutUint64(t[8:], low)
	return t, nil
}

// SpanID is a span id.
type SpanID uint64

// String is the id in 16 hex digits.
func (s SpanID) String() string { return fmt.Sprintf("%016x", uint64(s)) }
