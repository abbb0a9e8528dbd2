package ingest

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
)

// Why a request was not judged, as metrics name it.
const (
	FailedError    = "error"
	FailedDeadline = "deadline" // nothing was known within the timeout
	FailedOverload = "overload" // as many as may be were being judged already
	FailedPanic    = "panic"
)

var errPanic = errors.New("it panicked")

// Recovered makes a panic the error of one request. It is to be deferred by what
// calls those who judge.
func Recovered(ctx context.Context, log *slog.Logger, doing string, err *error) {
	if r := recover(); r != nil {
		log.ErrorContext(ctx, doing+" panicked", "panic", r, "stack", string(debug.Stack()))
		*err = errPanic
	}
}

// Failed says why a request with this budget was not judged, of which came err.
func (b *Budget) Failed(err error) string {
	switch {
	case errors.Is(err, errPanic):
		return FailedPanic
	case errors.Is(err, context.DeadlineExceeded), b.Err() != nil:
		return FailedDeadline
	}
	return FailedError
}
