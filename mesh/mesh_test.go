package mesh

import "testing"

func TestLabelNames(t *testing.T) {
	for l := Label(0); l < NumLabels; l++ {
		if got, ok := ParseLabel(l.String()); !ok || got != l {
			t.Errorf("ParseLabel(%q) = %v, %v; want %v", l.String(), got, ok, l)
		}
	}
	if _, ok := ParseLabel("source"); ok {
		t.Error("ParseLabel takes a name that is no label")
	}
}

func TestFlagsString(t *testing.T) {
	f := func(flags Flags, want string) {
		t.Helper()
		if got := flags.String(); got != want {
			t.Errorf("Flags(%b) = %q; want %q", flags, got, want)
		}
	}
	f(0, "-")
	f(1, "LH")
	f(1<<2|1<<15, "UT,URX")
	f(1<<5|1<<15, "UF,URX")
	f(1<<12, "UAEX")
	f(1<<27, "DR")
	f(1<<40, "-")
}

func TestIsError(t *testing.T) {
	f := func(e Entry, want bool) {
		t.Helper()
		if got := e.IsError(); got != want {
			t.Errorf("IsError(%s code %d, gRPC %d) = %v; want %v", e.Protocol, e.Code, e.GRPCStatus, got, want)
		}
	}
	f(Entry{Code: 200, GRPCStatus: NoGRPCStatus}, false)
	f(Entry{Code: 404, GRPCStatus: NoGRPCStatus}, false)
	f(Entry{Code: 503, GRPCStatus: NoGRPCStatus}, true)
	f(Entry{Code: 0, GRPCStatus: NoGRPCStatus}, true)
	f(Entry{Protocol: ProtocolGRPC, Code: 200, GRPCStatus: 0}, false)
	f(Entry{Protocol: ProtocolGRPC, Code: 200, GRPCStatus: 5}, false)
	f(Entry{Protocol: ProtocolGRPC, Code: 200, GRPCStatus: 14}, true)
	f(Entry{Protocol: ProtocolTCP, GRPCStatus: NoGRPCStatus}, false)
}
