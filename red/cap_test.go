package red

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"unique"

	"github.com/tallygate/tallygate/mesh"
)

// requests returns the request counters by the value of a label.
func requests(t testing.TB, s *Snapshot, label string) map[string]uint64 {
	t.Helper()
	got := map[string]uint64{}
	for i := range s.Views {
		v := &s.Views[i]
		for j := range v.Families {
			if v.Families[j].Name != MetricRequests {
				continue
			}
			for row := range v.Rows {
				for k, value := range v.Rows[row].Series.AppendValues(nil) {
					if v.Labels[k] == label {
						got[value] += v.Count(row, &v.Families[j])
					}
				}
			}
		}
	}
	return got
}

func TestMaxSeries(t *testing.T) {
	cfg := testConfig()
	cfg.MaxSeries = 3
	table := newTable(t, cfg, mesh.CustomLabel{Name: "rule"})
	for i := range 10 {
		e := httpEntry("client", fmt.Sprintf("server-%d", i))
		e.Custom = unique.Make("r1\x00")
		if i%2 == 1 {
			e.Protocol, e.GRPCStatus = mesh.ProtocolGRPC, 0
		}
		consume(t, table, e, e)
	}
	s := snapshot(table)
	v := &s.Views[0]
	if len(v.Rows) != 5 {
		t.Fatalf("%d series; want 3 and one overflow series per protocol", len(v.Rows))
	}
	if got := requests(t, s, "destination_workload"); got[Overflow] != 14 || got["server-0"] != 2 || len(got) != 4 {
		t.Errorf("requests by destination: %v; want 14 overflow, 2 of each of 3 servers", got)
	}
	for row := 3; row < 5; row++ {
		for i, value := range v.Rows[row].Series.AppendValues(nil) {
			switch v.Labels[i] {
			case "reporter":
				if value != "destination" {
					t.Errorf("reporter of the overflow series is %q", value)
				}
			case "request_protocol":
				if value != "http" && value != "grpc" {
					t.Errorf("request_protocol of the overflow series is %q", value)
				}
			default:
				if value != Overflow {
					t.Errorf("%s of the overflow series is %q; want overflow", v.Labels[i], value)
				}
			}
		}
	}
	if got := s.Stats.Views[0]; got.Overflowed != 14 || got.Series != 5 || got.Created != 5 {
		t.Errorf("stats %+v; want 14 overflowed, 5 series created", got)
	}
	if s.Stats.Counted != 20 {
		t.Errorf("counted %d; want 20", s.Stats.Counted)
	}
}

func TestMaxLabelValues(t *testing.T) {
	cfg := testConfig()
	cfg.MaxLabelValues = 4
	cfg.ExcludeLabels = []string{"source_app"} // a masked side is capped too
	table := newTable(t, cfg, mesh.CustomLabel{Name: "rule"}, mesh.CustomLabel{Name: "tenant"})
	for i := range 10 {
		e := httpEntry(fmt.Sprintf("client-%d", i), "server")
		e.Custom = unique.Make(fmt.Sprintf("r%d\x00t\x00", i))
		e.Code = uint32(200 + i)
		e.Flags = 1 << i
		consume(t, table, e, e, e)
	}
	s := snapshot(table)
	f := func(label string, overflow uint64, values int) {
		t.Helper()
		if got := requests(t, s, label); got[Overflow] != overflow || len(got) != values {
			t.Errorf("requests by %s: %v; want %d overflow, %d values", label, got, overflow, values)
		}
		want := LabelCount{label, overflow}
		for _, c := range s.Stats.Capped {
			if c.Label == label {
				if c != want {
					t.Errorf("capped %v; want %v", c, want)
				}
				return
			}
		}
		if overflow > 0 {
			t.Errorf("there is no cap count of %s", label)
		}
	}
	f("source_workload", 18, 5)
	f("source_principal", 18, 5)
	f("source_version", 0, 1)
	f("rule", 18, 5)
	f("tenant", 0, 1)
	f("response_code", 18, 5)
	f("response_flags", 18, 5)
	f("destination_workload", 0, 1)
	if n := s.Stats.Views[0].Overflowed; n != 0 {
		t.Errorf("%d entries in overflow series; want none", n)
	}
}

// TestMillionValues is the attack on memory: a client that makes up a label
// value per request.
func TestMillionValues(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n = 100_000
	}
	cfg := testConfig()
	cfg.MaxLabelValues = 1000
	cfg.MaxSeries = 5000
	table := newTable(t, cfg, mesh.CustomLabel{Name: "user"})
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	attack := func(from, to int) {
		e := httpEntry("client", "server")
		for i := from; i < to; i++ {
			e.Custom = unique.Make(strconv.Itoa(i) + "\x00")
			consume(t, table, e)
		}
	}
	attack(0, n/2)
	before := heap()
	attack(n/2, n)
	if after := heap(); after > before+(8<<20) {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	s := snapshot(table)
	if got := len(s.Views[0].Rows); got != 1001 {
		t.Errorf("%d series; want 1000 and one with the label capped", got)
	}
	if got := requests(t, s, "user")[Overflow]; got != uint64(n-1000) {
		t.Errorf("%d requests with the label capped; want %d", got, n-1000)
	}
	if s.Stats.Counted != uint64(n) {
		t.Errorf("counted %d; want %d", s.Stats.Counted, n)
	}
}

func BenchmarkConsumeBeyondCap(b *testing.B) {
	cfg := testConfig()
	cfg.MaxLabelValues = 100
	table := newTable(b, cfg)
	es := tuples(20_000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		consume(b, table, es[i%len(es)])
	}
}
