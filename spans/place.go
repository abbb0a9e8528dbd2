package spans

import (
	"encoding/binary"

	"github.com/tallygate/tallygate/mesh"
)

// place is where a span stands in its trace.
type place struct {
	trace        traceID
	span, parent spanID // parent is zero if there is none
	proxy        spanID // of the span that the proxy made itself and did not export; zero if unknown
	state        string // tracestate
}

// unreached are the flags of requests that came to no upstream, or of which that
// is not sure.
const unreached = mesh.Flags(1)<<1 | 1<<5 | 1<<7 | 1<<8 | 1<<11 | 1<<12 | 1<<24 // UH UF UO NR RL UAEX NC

// locate finds the place of the span of an entry.
//
// Headers are logged when the request is over. A proxy that does not trace leaves
// them as the caller sent them, so the span in them is the caller's. A proxy that
// traces puts its own span there once the request goes to an upstream: B3 tells
// the parent of that too, traceparent does not.
//
// What no header tells is derived so that both sides of a hop, and the client
// spans of a workload and its server span, come to the same without knowing of
// each other:
//
//	id of a client span   (trace, caller's span, source, destination, method, path)
//	its parent            the caller's span, else the server span of the source workload
//	id of a server span   (trace, caller's span, destination)
//	its parent            the client span, if the source has a proxy that reports, else the caller's span
func locate(e *mesh.Entry, d *mesh.Detail, know knowledge) (p place) {
	var told bool
	p.trace, told = parseTraceID(e.TraceID)
	h, found := readHeaders(d, p.trace)
	switch {
	case told:
	case found:
		p.trace = h.trace
	case d.RequestID != "":
		p.trace = requestTrace(d.RequestID)
	default: // alone in its trace
		binary.BigEndian.PutUint64(p.trace[:8], newHash(3).words(e.Wire).sum())
		binary.BigEndian.PutUint64(p.trace[8:], newHash(4).words(e.Wire).sum())
	}
	p.state = h.state
	caller := h.span
	if e.Traced {
		own, ownTold := parseSpanID(e.SpanID)
		reached := d.Server.Host != "" && e.Flags&unreached == 0
		if !ownTold && reached {
			own = h.span
		}
		if own != (spanID{}) && own == h.span {
			if h.b3 {
				p.span, p.parent = own, h.parent
				return p
			}
			caller = spanID{}
		}
		p.proxy = own
		if h.b3 && caller != (spanID{}) {
			// Where all trace with B3 the other end's span has the id in the header.
			p.derive(e, d, know, spanID{}, caller)
			p.parent = caller
			return p
		}
		// The ids of both ends must come from the same: the other end logs its own
		// span in the header.
		p.derive(e, d, know, spanID{}, caller)
		return p
	}
	p.derive(e, d, know, caller, caller)
	return p
}

// derive sets span and parent. key is the caller's span as both ends know it,
// caller is it as this end does; each is zero if unknown.
func (p *place) derive(e *mesh.Entry, d *mesh.Detail, know knowledge, key, caller spanID) {
	source, destination := e.Source.Value(), e.Destination.Value()
	client := newHash(5).bytes(p.trace[:]).bytes(key[:]).
		text(source.Namespace).text(source.Name).text(destination.Namespace).text(destination.Name).
		text(e.Method).text(d.Path).id()
	server := func(w *mesh.Workload) spanID {
		return newHash(6).bytes(p.trace[:]).bytes(key[:]).text(w.Namespace).text(w.Name).id()
	}
	p.parent = caller
	if e.Reporter == mesh.ReporterSource {
		p.span = client
		if key == (spanID{}) && know.serves(e.Source) {
			p.parent = server(&source)
		}
		return
	}
	p.span = server(&destination)
	if know.reports(e.Source) {
		p.parent = client
	}
}

// knowledge is what is known of a workload.
type knowledge interface {
	serves(mesh.Peer) bool  // requests to it are reported by its own proxy
	reports(mesh.Peer) bool // requests of it are
}

// hash is FNV-1a, finished so that all bits of the sum depend on all of the input:
// the same on every replica. The number keeps uses apart.
type hash uint64

func newHash(use byte) hash { return hash(14695981039346656037).add(use) }

func (h hash) add(c byte) hash { return (h ^ hash(c)) * 1099511628211 }

func (h hash) bytes(b []byte) hash {
	for _, c := range b {
		h = h.add(c)
	}
	return h
}

// words adds b eight bytes at a time: far faster than bytes.
func (h hash) words(b []byte) hash {
	for ; len(b) >= 8; b = b[8:] {
		h = (h ^ hash(binary.LittleEndian.Uint64(b))) * 0x9e3779b97f4a7c15
		h ^= h >> 32
	}
	return h.bytes(b)
}

// text adds a string and its end.
func (h hash) text(s string) hash {
	for i := range len(s) {
		h = h.add(s[i])
	}
	return h.add(0xff)
}

func (h hash) sum() uint64 {
	x := uint64(h)
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	if x ^= x >> 33; x == 0 {
		return 1 // no id is zero
	}
	return x
}

func (h hash) id() (id spanID) {
	binary.BigEndian.PutUint64(id[:], h.sum())
	return id
}
