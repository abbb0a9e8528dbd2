package policy

import (
	"context"
	"encoding/hex"
	"errors"
	"math/rand/v2"
)

// Why a request could not be judged, as metrics name it.
const (
	failNoRules    = "no_policy"
	failUnknown    = "unknown_entrypoint"
	failShed       = "overload"
	failTimeout    = "timeout"
	failCanceled   = "canceled"
	failPanic      = "panic"
	failQuotas     = "quotas"
	failEvaluation = "evaluation"
)

// Why the cache was not asked.
const (
	bypassDisabled = "disabled"
	bypassShape    = "not_cacheable"
	bypassKey      = "key_too_large"
)

func failure(err error) string {
	switch {
	case errors.Is(err, ErrNoRules):
		return failNoRules
	case errors.Is(err, ErrUnknown):
		return failUnknown
	case errors.Is(err, ErrOverload):
		return failShed
	case errors.Is(err, ErrQuotas):
		return failQuotas
	case errors.Is(err, ErrAborted):
		return failPanic
	case errors.Is(err, context.DeadlineExceeded):
		return failTimeout
	case errors.Is(err, context.Canceled):
		return failCanceled
	}
	return failEvaluation
}

// newID returns 128 random bits in hexadecimal. The source is the runtime's
// ChaCha8, which the operating system seeds.
func newID() string {
	var b [16]byte
	var text [32]byte
	for i, v := range [2]uint64{rand.Uint64(), rand.Uint64()} {
		for j := range 8 {
			b[i*8+j] = byte(v >> (8 * j))
		}
	}
	hex.Encode(text[:], b[:])
	return string(text[:])
}
