package spans

import (
	"sync"
	"unsafe"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/mesh"
)

// maker collects spans by the workload that made them.
type maker struct {
	version string

	mu     sync.Mutex
	traces ptrace.Traces
	n      int
	scopes map[mesh.Peer]ptrace.SpanSlice
	kept   []kept      // sampled, of which spans are to be made
	detail mesh.Detail // of the one at hand
	room   [3]int      // by reporter: how many attributes the last span had
}

// maxKept is how many sampled entries wait for each other. A span alone, made
// between entries that are none, costs twice as much: neither what makes it nor
// what it is made of is in the CPU's caches.
const maxKept = 32

// kept is an entry that owns its bytes.
type kept struct {
	entry   mesh.Entry
	details mesh.Detailer
}

// keep copies an entry that was sampled.
func (mk *maker) keep(e *mesh.Entry, details mesh.Detailer) {
	mk.kept = append(mk.kept, kept{*e, details})
	own := &mk.kept[len(mk.kept)-1].entry
	n := len(e.Wire)
	b := make([]byte, 0, n+len(e.TraceID)+len(e.SpanID))
	b = append(append(append(b, e.Wire...), e.TraceID...), e.SpanID...)
	ids := unsafe.String(unsafe.SliceData(b[n:]), len(b)-n) // nobody writes to b again
	own.Wire = b[:n:n]
	own.TraceID, own.SpanID = ids[:len(e.TraceID)], ids[len(e.TraceID):]
	own.RequestID = "" // the details have it
}

func newMaker(version string) *maker {
	return &maker{version: version, traces: ptrace.NewTraces(), scopes: map[mesh.Peer]ptrace.SpanSlice{}}
}

// span appends a span to those of its workload.
func (mk *maker) span(e *mesh.Entry) ptrace.Span {
	peer := e.Destination
	if e.Reporter == mesh.ReporterSource {
		peer = e.Source
	}
	list, ok := mk.scopes[peer]
	if !ok {
		rs := mk.traces.ResourceSpans().AppendEmpty()
		w := peer.Value()
		resource(rs.Resource().Attributes(), &w)
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName("tallygate")
		ss.Scope().SetVersion(mk.version)
		list = ss.Spans()
		mk.scopes[peer] = list
	}
	mk.n++
	return list.AppendEmpty()
}

// take returns what was collected and begins anew.
func (mk *maker) take() ptrace.Traces {
	td := mk.traces
	if mk.n > 0 {
		mk.traces, mk.n = ptrace.NewTraces(), 0
		clear(mk.scopes)
		return td
	}
	return ptrace.NewTraces()
}
