package storagetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/storage"
)

// Cannot is something that a backend cannot do.
type Cannot int

// What some backends cannot do.
const (
	// SameSpan: tags and operation of a search may be those of different spans
	// of a trace.
	SameSpan Cannot = iota
	// BoundsMatch: what is exactly on a bound is not found.
	BoundsMatch
	// DurationWithTags: a search for duration ignores, or refuses, tags.
	DurationWithTags
	// DurationInTime: a search for duration finds spans up to an hour out of the
	// bounds of time.
	DurationInTime
	// LongTags: values of 256 bytes and more, and JSON objects, are not searched.
	LongTags
	// SameTime: of spans of one service with one start, only one is found by
	// service or operation.
	SameTime
	// NewestFirst: traces come in any order.
	NewestFirst
	// ExactLimit: fewer traces than asked for may come although there are more.
	ExactLimit
	// Dependencies are not learned from spans.
	Dependencies
	// OneSpanID: spans with one id in a trace are changed for display.
	OneSpanID
	// Rewrites: a span that is written again may be returned twice.
	Rewrites
	// RawSpans: spans are returned adjusted for display: tags sorted, broken
	// references and skewed clocks noted.
	RawSpans
)

// Backend is a store under test.
type Backend struct {
	// Write stores spans; when it returns they can be read.
	Write  func(context.Context, ptrace.Traces) error
	Reader storage.Reader
	Cannot []Cannot
	// ManySpans is the size of the large test; 20,000 if 0.
	ManySpans int
}

// gen makes spans of services that no other test has, so that tests share a
// store.
type gen struct {
	td      ptrace.Traces
	service string
	base    time.Time
}

func newGen() *gen {
	return &gen{
		td:      ptrace.NewTraces(),
		service: fmt.Sprintf("svc-%016x", rand.Uint64()),
		base:    time.Now().Add(-time.Minute).Truncate(time.Second),
	}
}

func (g *gen) query() storage.Query {
	return storage.Query{Service: g.service, Start: g.base.Add(-time.Minute), End: g.base.Add(2 * time.Minute), Limit: 1000}
}

func newTraceID() (id pcommon.TraceID) {
	for i := range id {
		id[i] = byte(rand.Uint32())
	}
	id[0] |= 0x10 // 32 digits
	return id
}

// span adds a span of the service; at is its start after base.
func (g *gen) span(id pcommon.TraceID, spanID uint64, name string, at, duration time.Duration) ptrace.Span {
	return g.spanOf(g.service, id, spanID, name, at, duration)
}

func (g *gen) spanOf(service string, id pcommon.TraceID, spanID uint64, name string, at, duration time.Duration) ptrace.Span {
	rs := g.td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", service)
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetTraceID(id)
	s.SetSpanID(asSpanID(spanID))
	s.SetName(name)
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(g.base.Add(at)))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(g.base.Add(at + duration)))
	return s
}

func asSpanID(n uint64) (id pcommon.SpanID) {
	for i := range id {
		id[i] = byte(n >> (56 - 8*i))
	}
	return id
}
