package spans

import (
	"sync"

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
	entry  mesh.Entry  // the entry at hand
	detail mesh.Detail // of it
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
