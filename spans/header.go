package spans

import (
	"encoding/binary"
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

type (
	traceID [16]byte
	spanID  [8]byte
)

// headers is what the headers of a trace say.
type headers struct {
	trace  traceID
	span   spanID // zero if only the trace is told
	parent spanID // of span; zero if unknown or none
	state  string // tracestate
	b3     bool   // parent is known: span has none if it is zero
}

// readHeaders reads the first header that is valid: traceparent, the B3 headers,
// the single B3 header, uber-trace-id. If want is not zero, only a header of that
// trace counts.
func readHeaders(d *mesh.Detail, want traceID) (h headers, ok bool) {
	for _, read := range [...]func(*mesh.Detail) (headers, bool){w3c, b3Multi, b3Single, uber} {
		if h, ok = read(d); ok && (want == traceID{} || h.trace == want) {
			return h, true
		}
	}
	return headers{}, false
}

// w3c reads traceparent: version-trace-span-flags. A version above 0 may have
// more behind it.
// Source: https://www.w3.org/TR/trace-context/#traceparent-header
func w3c(d *mesh.Detail) (h headers, ok bool) {
	p := d.Traceparent
	if len(p) < 55 || p[2] != '-' || p[35] != '-' || p[52] != '-' || p[:2] == "ff" ||
		len(p) > 55 && (p[:2] == "00" || p[55] != '-') {
		return h, false
	}
	var version, flags [1]byte
	ok = unhex(version[:], p[:2]) && unhex(flags[:], p[53:55]) && unhex(h.trace[:], p[3:35]) && unhex(h.span[:], p[36:52])
	h.state = d.Tracestate
	return h, ok && h.trace != traceID{} && h.span != spanID{}
}

// b3Multi reads the x-b3-… headers.
// Source: https://github.com/openzipkin/b3-propagation
func b3Multi(d *mesh.Detail) (h headers, ok bool) {
	if h.trace, ok = parseTraceID(d.B3TraceID); !ok {
		return h, false
	}
	h.span, h.b3 = parseSpanID(d.B3SpanID)
	h.parent, _ = parseSpanID(d.B3ParentID)
	return h, true
}

// b3Single reads b3: trace-span, trace-span-sampled or trace-span-sampled-parent.
func b3Single(d *mesh.Detail) (h headers, ok bool) {
	parts := strings.SplitN(d.B3, "-", 5)
	if len(parts) < 2 || len(parts) > 4 {
		return h, false
	}
	if h.trace, ok = parseTraceID(parts[0]); !ok {
		return h, false
	}
	if h.span, ok = parseSpanID(parts[1]); !ok {
		return h, false
	}
	h.b3 = true
	if len(parts) == 4 {
		h.parent, _ = parseSpanID(parts[3])
	}
	return h, true
}

// uber reads uber-trace-id: trace:span:parent:flags, without leading zeros, its
// colons perhaps escaped.
// Source: https://www.jaegertracing.io/docs/1.76/client-libraries/#propagation-format
func uber(d *mesh.Detail) (h headers, ok bool) {
	s := d.Uber
	if strings.Contains(s, "%3") {
		s = strings.NewReplacer("%3A", ":", "%3a", ":").Replace(s)
	}
	parts := strings.SplitN(s, ":", 5)
	if len(parts) != 4 || len(parts[0]) > 32 || len(parts[1]) > 16 {
		return h, false
	}
	const zeros = "00000000000000000000000000000000"
	ok = unhex(h.trace[:], zeros[len(parts[0]):]+parts[0]) && unhex(h.span[:], zeros[16+len(parts[1]):]+parts[1])
	// The parent is deprecated and most clients say 0.
	return h, ok && h.trace != traceID{} && h.span != spanID{}
}

// parseTraceID reads 32 hexadecimal digits, or 16 of a trace id of 64 bits.
func parseTraceID(s string) (id traceID, ok bool) {
	switch len(s) {
	case 32:
		ok = unhex(id[:], s)
	case 16:
		ok = unhex(id[8:], s)
	}
	if !ok || id == (traceID{}) {
		return traceID{}, false
	}
	return id, true
}

// parseSpanID reads 16 hexadecimal digits.
func parseSpanID(s string) (id spanID, ok bool) {
	if len(s) != 16 || !unhex(id[:], s) || id == (spanID{}) {
		return spanID{}, false
	}
	return id, true
}

// unhex decodes s, whose length is twice that of dst, and leaves dst as it is if
// s is not hexadecimal.
func unhex(dst []byte, s string) bool {
	var buf [16]byte
	for i := range dst {
		high, low := digits[s[2*i]], digits[s[2*i+1]]
		if high|low > 15 {
			return false
		}
		buf[i] = high<<4 | low
	}
	copy(dst, buf[:len(dst)])
	return true
}

// digits are the values of hexadecimal digits, 255 for any other byte.
var digits = func() (t [256]uint8) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range "0123456789abcdef" {
		t[c] = uint8(i)
	}
	for i, c := range "ABCDEF" {
		t[c] = uint8(10 + i)
	}
	return t
}()

// requestTrace makes a trace id of an x-request-id: a UUID is one already, so that
// the trace is found by it. Its version says in Envoy how the trace was sampled,
// and changes on the way.
func requestTrace(id string) (t traceID) {
	if len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' &&
		unhex(t[0:4], id[0:8]) && unhex(t[4:6], id[9:13]) && unhex(t[6:8], id[14:18]) && unhex(t[8:10], id[19:23]) && unhex(t[10:16], id[24:36]) {
		t[6] = t[6]&0xf | 0x40
		return t
	}
	high, low := newHash(1).text(id).sum(), newHash(2).text(id).sum()
	binary.BigEndian.PutUint64(t[:8], high)
	binary.BigEndian.PutUint64(t[8:], low)
	return t
}
