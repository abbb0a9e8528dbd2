package spans

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

// flow counts the spans that come and go.
type flow struct{ created, shed, delivered atomic.Int64 }

// flowed is a flow at one moment.
type flowed struct{ created, shed int64 }

// Flow is the spans of one destination.
type Flow struct {
	Sampled int64 // made or received
	Shed    int64 // dropped because too many waited
	Waiting int64 // not yet handed over
}

// SetDestinations replaces the destinations. Spans that wait go to the new ones.
// It returns when the old ones are no longer in use.
func (s *Sink) SetDestinations(to []*Destination) {
	s.delivery.Lock()
	defer s.delivery.Unlock()
	shed := s.books.shed.Load()
	for _, d := range to {
		d.begin = flowed{created: shed + s.books.delivered.Load(), shed: shed}
	}
	s.to = to
}

// FlowTo returns what has come for a destination.
func (s *Sink) FlowTo(d *Destination) (f Flow) {
	// In this order, so that nothing seems to wait that does not.
	delivered, shed, created := s.books.delivered.Load(), s.books.shed.Load(), s.books.created.Load()
	f.Sampled, f.Shed = created-d.begin.created, shed-d.begin.shed
	f.Waiting = created - shed - delivered
	return f
}

// deliver hands spans to every destination. An exporter that has no queue, or
// whose queue is told to wait, keeps the others waiting.
func (s *Sink) deliver(td ptrace.Traces) {
	s.delivery.Lock()
	defer s.delivery.Unlock()
	n := int64(td.SpanCount())
	s.waiting.Add(-n)
	if len(s.to) > 1 {
		td.MarkReadOnly()
	}
	for _, d := range s.to {
		mine := td
		if td.IsReadOnly() && d.Traces.Capabilities().MutatesData {
			mine = ptrace.NewTraces()
			td.CopyTo(mine)
		}
		// Whose fault it is and how much is lost the exporter's own books say.
		err := d.Traces.ConsumeTraces(context.Background(), mine)
		if err != nil && !d.down {
			s.opts.Log.Warn("An exporter refuses spans; said once until it takes some", "exporter", d.ID, "err", err)
		}
		d.down = err != nil
	}
	s.books.delivered.Add(n)
}
