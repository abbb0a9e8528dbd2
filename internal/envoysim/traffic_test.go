package envoysim

import (
	"fmt"
	"maps"
	"testing"

	alsdata "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/proto"
)

// labelSet is what tells the entries of one stream apart, as a server sees it.
func labelSet(stream int, c *alsdata.AccessLogCommon, code uint32, grpc string) string {
	tags := maps.Clone(c.CustomTags)
	delete(tags, "trace_id")
	delete(tags, "trace_sampled")
	return fmt.Sprint(stream, tags, c.ResponseFlags, code, grpc)
}

func TestTrafficLabelSets(t *testing.T) {
	f := func(p Profile) {
		t.Helper()
		traffic, err := NewTraffic(p)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		var grpc, tcp, entries int
		for i, s := range traffic.streams {
			for _, fr := range s.frames {
				var m alsv3.StreamAccessLogsMessage
				if err := proto.Unmarshal(fr.bytes, &m); err != nil {
					t.Fatal(err)
				}
				if n := len(m.GetHttpLogs().GetLogEntry()) + len(m.GetTcpLogs().GetLogEntry()); n != fr.entries {
					t.Fatalf("message has %d entries; want %d", n, fr.entries)
				}
				entries += fr.entries
				for _, e := range m.GetHttpLogs().GetLogEntry() {
					status := e.Response.ResponseTrailers["grpc-status"]
					key := labelSet(i, e.CommonProperties, e.Response.ResponseCode.GetValue(), status)
					if !seen[key] && status != "" {
						grpc++
					}
					seen[key] = true
					if n := len(e.Request.RequestHeaders); n != 10 {
						t.Fatalf("entry has %d request headers; want 10", n)
					}
				}
				for _, e := range m.GetTcpLogs().GetLogEntry() {
					key := "tcp" + labelSet(i, e.CommonProperties, 0, "")
					if !seen[key] {
						tcp++
					}
					seen[key] = true
				}
			}
		}
		if len(seen) != p.Tuples {
			t.Errorf("%+v: %d label sets; want %d", p, len(seen), p.Tuples)
		}
		within := func(what string, got, percent int) {
			t.Helper()
			if want := p.Tuples * percent / 100; got < want*8/10 || got > want*12/10 {
				t.Errorf("%+v: %d label sets are %s; want about %d", p, got, what, want)
			}
		}
		within("gRPC", grpc, p.GRPC)
		within("TCP", tcp, p.TCP)
		if got := traffic.Round(); got != int64(entries) {
			t.Errorf("Round() = %d; want %d", got, entries)
		}
		if got := traffic.EntryBytes(); p.TCP == 0 && (got < 1000 || got > 1250) {
			t.Errorf("%+v: entries of %.0f bytes; want about 1100", p, got)
		}
	}
	p := DefaultProfile()
	p.MinMessages = 2
	f(p)
	p.Tuples = 10_000
	f(p)
	p.Tuples, p.Sides, p.GRPC, p.TCP = 1000, SideBoth, 20, 10
	f(p)
	p.Streams, p.Tuples, p.GRPC, p.TCP, p.MinMessages, p.EntriesPerMessage = 600, 1800, 0, 0, 1, 10
	f(p)
	p.Streams, p.Tuples, p.Sides = 700, 1400, SideSource
	f(p)
}

func TestProfileValidate(t *testing.T) {
	err := Profile{Services: 1, Tuples: -1, GRPC: 101, Sides: "left"}.Validate()
	want := `streams: 0 is not positive
entries per message: 0 is not positive
messages: 0 is not positive
services: 1, a request needs two
tuples: -1 are fewer than the 0 streams
protocols: 101 % gRPC and 0 % TCP
sides: "left" is not one of destination, source, both`
	if err == nil || err.Error() != want {
		t.Errorf("Validate() =\n%v\nwant\n%s", err, want)
	}
	if err := DefaultProfile().Validate(); err != nil {
		t.Errorf("the default is not valid: %v", err)
	}
}
