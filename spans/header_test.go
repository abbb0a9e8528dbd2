package spans

import (
	"encoding/hex"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	trace1 = "4bf92f3577b34da6a3ce929d0e0e4736"
	span1  = "00f067aa0ba902b7"
	span2  = "b7ad6b7169203331"
)

func TestReadHeaders(t *testing.T) {
	f := func(d mesh.Detail, trace, span, parent string) {
		t.Helper()
		h, ok := readHeaders(&d, traceID{})
		if !ok {
			if trace != "" {
				t.Errorf("%+v is not read; want trace %s", d, trace)
			}
			return
		}
		zero := strings.Repeat("0", 16)
		show := func(id spanID) string { return strings.TrimPrefix(hex.EncodeToString(id[:]), zero) }
		if got := hex.EncodeToString(h.trace[:]); got != trace || show(h.span) != span || show(h.parent) != parent {
			t.Errorf("%+v: trace %s span %s parent %s; want %s %s %s", d, got, show(h.span), show(h.parent), trace, span, parent)
		}
	}
	tp := func(s string) mesh.Detail { return mesh.Detail{Traceparent: s} }
	f(tp("00-"+trace1+"-"+span1+"-01"), trace1, span1, "")
	f(tp("00-"+trace1+"-"+span1+"-00"), trace1, span1, "")
	f(tp("cc-"+trace1+"-"+span1+"-01-more"), trace1, span1, "")
	f(tp("00-"+strings.ToUpper(trace1)+"-"+span1+"-01"), trace1, span1, "")
	f(tp("00-"+trace1+"-"+span1+"-01-more"), "", "", "")
	f(tp("cc-"+trace1+"-"+span1+"-01more"), "", "", "")
	f(tp("ff-"+trace1+"-"+span1+"-01"), "", "", "")
	f(tp("00-"+strings.Repeat("0", 32)+"-"+span1+"-01"), "", "", "")
	f(tp("00-"+trace1+"-"+strings.Repeat("0", 16)+"-01"), "", "", "")
	f(tp("00-"+trace1[:31]+"g-"+span1+"-01"), "", "", "")
	f(tp("00-"+trace1+"-"+span1+"-0x"), "", "", "")
	f(tp("00_"+trace1+"-"+span1+"-01"), "", "", "")
	f(tp("00-"+trace1+"-"+span1), "", "", "")
	f(tp(""), "", "", "")
	f(tp(strings.Repeat("00-", 20000)), "", "", "")
	f(tp(`{"a":"00-`+trace1+`"}`), "", "", "")

	f(mesh.Detail{B3TraceID: trace1, B3SpanID: span1, B3ParentID: span2}, trace1, span1, span2)
	f(mesh.Detail{B3TraceID: trace1[16:], B3SpanID: span1}, strings.Repeat("0", 16)+trace1[16:], span1, "")
	f(mesh.Detail{B3TraceID: trace1}, trace1, "", "")
	f(mesh.Detail{B3TraceID: trace1[:20], B3SpanID: span1}, "", "", "")
	f(mesh.Detail{B3SpanID: span1}, "", "", "")

	b3 := func(s string) mesh.Detail { return mesh.Detail{B3: s} }
	f(b3(trace1+"-"+span1), trace1, span1, "")
	f(b3(trace1+"-"+span1+"-1"), trace1, span1, "")
	f(b3(trace1+"-"+span1+"-d-"+span2), trace1, span1, span2)
	f(b3(trace1[16:]+"-"+span1+"-0"), strings.Repeat("0", 16)+trace1[16:], span1, "")
	f(b3("0"), "", "", "")
	f(b3(trace1), "", "", "")
	f(b3(trace1+"-"+span1+"-1-"+span2+"-"), "", "", "")

	uber := func(s string) mesh.Detail { return mesh.Detail{Uber: s} }
	f(uber(trace1+":"+span1+":0:1"), trace1, span1, "")
	f(uber(trace1+"%3A"+span1+"%3a0%3A1"), trace1, span1, "")
	f(uber("3ce929d0e0e4736:f067aa0ba902b7:0:1"), strings.Repeat("0", 17)+"3ce929d0e0e4736", "00f067aa0ba902b7", "")
	f(uber(trace1+":"+span1), "", "", "")
	f(uber("0:0:0:0"), "", "", "")
	f(uber("1"+trace1+":"+span1+":0:1"), "", "", "")
	f(uber(":::"), "", "", "")

	both := mesh.Detail{Traceparent: "00-" + trace1 + "-" + span1 + "-01", B3TraceID: strings.Repeat("a", 32), B3SpanID: span2}
	f(both, trace1, span1, "")
	other, _ := parseTraceID(strings.Repeat("a", 32))
	if h, ok := readHeaders(&both, other); !ok || h.span != (spanID{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31}) {
		t.Errorf("of two traces the wanted one is not read: %v %v", h, ok)
	}
}

func TestRequestTrace(t *testing.T) {
	f := func(id, want string) {
		t.Helper()
		got := requestTrace(id)
		if s := hex.EncodeToString(got[:]); want != "" && s != want {
			t.Errorf("%q: %s; want %s", id, s, want)
		}
		if got == (traceID{}) || got != requestTrace(id) {
			t.Errorf("%q: %x is not a trace id, or not always the same", id, got)
		}
	}
	f("8a4c0f9e-2f6d-4c9a-9a51-0123456789ab", "8a4c0f9e2f6d4c9a9a510123456789ab")
	f("8a4c0f9e-2f6d-9c9a-9a51-0123456789ab", "8a4c0f9e2f6d4c9a9a510123456789ab") // Envoy has noted that it is traced
	f("8A4C0F9E-2F6D-4C9A-9A51-0123456789AB", "8a4c0f9e2f6d4c9a9a510123456789ab")
	f("8a4c0f9e-2f6d-4c9a-9a51-0123456789ag", "")
	f("x", "")
	f("", "")
	f(strings.Repeat("y", 65536), "")
	if requestTrace("a") == requestTrace("b") {
		t.Error("two ids have one trace")
	}
}

// FuzzHeaders: nothing panics, and what is read can be written and read again.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{
		"00-" + trace1 + "-" + span1 + "-01", trace1 + "-" + span1 + "-1-" + span2, trace1 + ":" + span1 + ":0:1",
		trace1 + "%3A" + span1 + "%3A0%3A1", "", "0", ":::", "----", "\xff", strings.Repeat("0", 70),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, d := range []mesh.Detail{{Traceparent: s}, {B3: s}, {Uber: s}, {B3TraceID: s, B3SpanID: s, B3ParentID: s}} {
			h, ok := readHeaders(&d, traceID{})
			if !ok {
				continue
			}
			if h.trace == (traceID{}) {
				t.Fatalf("%q has a trace id of zeros", s)
			}
			again := mesh.Detail{B3TraceID: hex.EncodeToString(h.trace[:]), B3SpanID: hex.EncodeToString(h.span[:])}
			if h2, ok := readHeaders(&again, h.trace); !ok || h2.trace != h.trace || h2.span != h.span {
				t.Fatalf("%q: %x-%x is read again as %x-%x, %v", s, h.trace, h.span, h2.trace, h2.span, ok)
			}
		}
		requestTrace(s)
	})
}
