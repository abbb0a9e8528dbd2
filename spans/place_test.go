package spans

import (
	"testing"
	"unique"

	"github.com/tallygate/tallygate/mesh"
)

func workload(name string) mesh.Peer {
	w := mesh.UnknownWorkload()
	w.Name, w.Namespace, w.CanonicalService = name, "shop", name
	return unique.Make(w)
}

// world knows what the entries told that were seen before.
type world struct{ serve, report map[mesh.Peer]bool }

func (w world) serves(p mesh.Peer) bool  { return w.serve[p] }
func (w world) reports(p mesh.Peer) bool { return w.report[p] }

var (
	client, frontend, backend = workload("client"), workload("frontend"), workload("backend")

	known = world{
		serve:  map[mesh.Peer]bool{frontend: true, backend: true},
		report: map[mesh.Peer]bool{client: true, frontend: true},
	}
	upstream = mesh.Addr{Host: "10.0.0.1", Port: 80}
)

// hop is one request from one workload to another as both sides report it.
type hop struct{ client, server place }

// sent returns both sides of a request with the same details on both.
func sent(from, to mesh.Peer, d mesh.Detail, change func(*mesh.Entry)) (h hop) {
	d.Server = upstream
	e := mesh.Entry{Source: from, Destination: to, Method: "GET", Reporter: mesh.ReporterSource, Code: 200, Wire: []byte("source")}
	change(&e)
	h.client = locate(&e, &d, known)
	e.Reporter, e.Wire = mesh.ReporterDestination, []byte("destination")
	h.server = locate(&e, &d, known)
	return h
}

func same(*mesh.Entry) {}

func (h hop) meets(t *testing.T) {
	t.Helper()
	if h.client.trace != h.server.trace || h.server.parent != h.client.span || h.client.span == h.server.span || h.client.span == (spanID{}) {
		t.Errorf("the sides do not meet: client %x, server %x", h.client, h.server)
	}
}

func TestLocateByRequestID(t *testing.T) {
	d := mesh.Detail{RequestID: "8a4c0f9e-2f6d-4c9a-9a51-0123456789ab", Path: "/"}
	a, b := sent(client, frontend, d, same), sent(frontend, backend, d, same)
	a.meets(t)
	b.meets(t)
	if a.client.parent != (spanID{}) {
		t.Errorf("the client that nobody asks has the parent %x", a.client.parent)
	}
	if b.client.parent != a.server.span {
		t.Errorf("the second hop's parent is %x; want the first one's server span %x", b.client.parent, a.server.span)
	}
	if a.client.trace != b.client.trace {
		t.Error("one request, two traces")
	}
	other := d
	other.Path = "/other"
	if c := sent(frontend, backend, other, same); c.client.span == b.client.span {
		t.Error("another path has the same id")
	}
}

func TestLocateByCaller(t *testing.T) {
	for _, d := range []mesh.Detail{
		{Traceparent: "00-" + trace1 + "-" + span1 + "-01", Tracestate: "a=b", RequestID: "r"},
		{B3TraceID: trace1, B3SpanID: span1, B3ParentID: span2},
		{B3: trace1 + "-" + span1},
		{Uber: trace1 + ":" + span1 + ":0:1"},
	} {
		h := sent(client, frontend, d, same)
		h.meets(t)
		caller, _ := parseSpanID(span1)
		if h.client.parent != caller {
			t.Errorf("%+v: the client span's parent is %x; want the caller's", d, h.client.parent)
		}
		if h.client.state != d.Tracestate {
			t.Errorf("the tracestate is %q", h.client.state)
		}
		// A source without a proxy: the caller itself is the parent.
		if h := sent(backend, frontend, d, same); h.server.parent != caller {
			t.Errorf("%+v: the server span's parent is %x; want the caller's", d, h.server.parent)
		}
	}
}

// TestLocateZipkin: a tracing proxy logs its own span and that one's parent.
func TestLocateZipkin(t *testing.T) {
	d := mesh.Detail{B3TraceID: trace1, B3SpanID: span1, B3ParentID: span2, Server: upstream}
	e := mesh.Entry{Source: client, Destination: frontend, Reporter: mesh.ReporterSource, TraceID: trace1, Traced: true, Code: 503}
	own, _ := parseSpanID(span1)
	parent, _ := parseSpanID(span2)
	if p := locate(&e, &d, known); p.span != own || p.parent != parent {
		t.Errorf("%x; want the proxy's own %s below %s", p, span1, span2)
	}
	// Not sent on: the header is the caller's.
	e.Flags = 1 << 12
	if p := locate(&e, &d, known); p.span == own || p.parent != own {
		t.Errorf("%x; want a span of its own below the caller's %s", p, span1)
	}
	e.Reporter = mesh.ReporterDestination
	if p := locate(&e, &d, known); p.span == own || p.parent != own {
		t.Errorf("denied at the server: %x; want a span of its own below the client's %s", p, span1)
	}
}

// TestLocateOpenTelemetry: each side logs a span of its own, and not its parent.
func TestLocateOpenTelemetry(t *testing.T) {
	side := func(span string, e mesh.Entry) place {
		d := mesh.Detail{Traceparent: "00-" + trace1 + "-" + span + "-00", Server: upstream, Path: "/"}
		e.TraceID, e.SpanID, e.Traced, e.Method = trace1, span, true, "GET"
		return locate(&e, &d, known)
	}
	h := hop{
		client: side(span1, mesh.Entry{Source: client, Destination: frontend, Reporter: mesh.ReporterSource}),
		server: side(span2, mesh.Entry{Source: client, Destination: frontend, Reporter: mesh.ReporterDestination}),
	}
	h.meets(t)
	next := side("00f067aa0ba90000", mesh.Entry{Source: frontend, Destination: backend, Reporter: mesh.ReporterSource})
	if next.parent != h.server.span {
		t.Errorf("the second hop's parent is %x; want %x", next.parent, h.server.span)
	}
	if own, _ := parseSpanID(span1); h.client.proxy != own {
		t.Errorf("the proxy's own span is %x; want %s", h.client.proxy, span1)
	}
}

func TestLocateAlone(t *testing.T) {
	a := locate(&mesh.Entry{Source: client, Destination: backend, Wire: []byte("a")}, new(mesh.Detail), known)
	b := locate(&mesh.Entry{Source: client, Destination: backend, Wire: []byte("b")}, new(mesh.Detail), known)
	if a.trace == (traceID{}) || a.trace == b.trace {
		t.Errorf("entries that tell nothing have the traces %x and %x", a.trace, b.trace)
	}
}

func TestDistinct(t *testing.T) {
	s := new(seen)
	d := mesh.Detail{RequestID: "r", Path: "/"}
	ids := map[spanID]bool{}
	for i, wire := range []string{"one", "two", "three"} {
		h := sent(client, frontend, d, same)
		repeated := s.distinct(&h.client, true, []byte(wire))
		if repeated != (i > 0) || ids[h.client.span] {
			t.Errorf("call %d: repeated %v, id %x", i, repeated, h.client.span)
		}
		ids[h.client.span] = true
		h.meetsOrRepeats(t, repeated)
	}
	// Zipkin's client and server share an id.
	p := place{trace: traceID{1}, span: spanID{1}}
	if s.distinct(&p, true, nil) || s.distinct(&p, false, nil) || p.span != (spanID{1}) {
		t.Error("a shared id is not left alone")
	}
}

func (h hop) meetsOrRepeats(t *testing.T, repeated bool) {
	t.Helper()
	if !repeated {
		h.meets(t)
	} else if h.server.parent == h.client.span {
		t.Error("a repeated client span has the id of the first")
	}
}

func TestSeenForgetsOnly(t *testing.T) {
	s := new(seen)
	for i := uint64(1); i < 400_000; i++ {
		if s.add(newHash(0).text(string(rune(i % 0xd000))).add(byte(i)).add(byte(i >> 8)).add(byte(i >> 16)).sum()) {
			t.Fatalf("key %d is said to have been there", i)
		}
	}
}
