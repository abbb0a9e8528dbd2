package storage

import (
	"context"
	"errors"
	"time"

	"github.com/tallygate/tallygate/jaegermodel"
)

// Reader finds what was stored. It is safe for concurrent use.
type Reader interface {
	// Services returns the names of all services, sorted.
	Services(context.Context) ([]string, error)
	// Operations returns the operations of a service, of every kind if kind is
	// "", sorted by name and kind.
	Operations(ctx context.Context, service, kind string) ([]Operation, error)
	// FindTraces returns whole traces, those with the latest matching spans
	// first, none twice.
	FindTraces(context.Context, Query) ([]*jaegermodel.Trace, error)
	// Trace returns the trace, its spans by start and id, or ErrNotFound.
	Trace(context.Context, jaegermodel.TraceID) (*jaegermodel.Trace, error)
	// Dependencies returns who called whom how often from one instant up to, and
	// without, another, sorted.
	Dependencies(ctx context.Context, from, to time.Time) ([]Dependency, error)
}

// ErrNotFound says that there is no such trace, in Jaeger's words.
var ErrNotFound = errors.New("trace not found")

// Operation is the name of spans of a service, with their kind.
type Operation struct {
	Name string
	Kind string // span.kind, "" if the spans have none
}

// Query is a search: traces with a span that is all of this.
type Query struct {
	Service     string            // required
	Operation   string            // any if ""
	Tags        map[string]string // of process, span or log fields, with the value's text
	MinDuration time.Duration     // none if 0; the bound itself matches, in µs
	MaxDuration time.Duration     // none if 0; the bound itself matches
	Start, End  time.Time         // of the span's start; the bounds match
	Limit       int               // most traces
}

// Validate says what makes no sense, in the words of Jaeger's stores.
func (q *Query) Validate() error {
	switch {
	case q.Service == "":
		return errors.New("service Name must be set")
	case q.Start.IsZero() || q.End.IsZero():
		return errors.New("start and End Time must be set")
	case q.End.Before(q.Start):
		return errors.New("start Time Minimum is above Maximum")
	case q.MinDuration != 0 && q.MaxDuration != 0 && q.MinDuration > q.MaxDuration:
		return errors.New("duration Minimum is above Maximum")
	case q.Limit <= 0:
		return errors.New("search depth must be greater than 0")
	}
	return nil
}

// Matches reports whether the span itself is what the query asks for.
func (q *Query) Matches(s *jaegermodel.Span) bool {
	if s.Process.Service != q.Service || q.Operation != "" && s.Operation != q.Operation {
		return false
	}
	if !q.InTime(s.Start) || !q.InDuration(s.Duration) {
		return false
	}
	missing := len(q.Tags)
	if missing == 0 {
		return true
	}
	found := make(map[string]bool, missing)
	s.EachTag(func(kv *jaegermodel.KeyValue) {
		if want, ok := q.Tags[kv.Key]; ok && !found[kv.Key] && kv.Text() == want {
			found[kv.Key] = true
		}
	})
	return len(found) == missing
}

// InTime reports whether a start in µs is within the bounds.
func (q *Query) InTime(start int64) bool {
	return start >= q.Start.UnixMicro() && start <= q.End.UnixMicro()
}

// InDuration reports whether a duration in µs is within the bounds.
func (q *Query) InDuration(d int64) bool {
	return (q.MinDuration == 0 || d >= q.MinDuration.Microseconds()) && (q.MaxDuration == 0 || d <= q.MaxDuration.Microseconds())
}
