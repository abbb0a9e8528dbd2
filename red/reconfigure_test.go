package red

import (
	"sync"
	"testing"
	"unique"

	"github.com/tallygate/tallygate/mesh"
)

func TestReconfigureKeepsWhatIsTheSame(t *testing.T) {
	cfg := testConfig()
	table := newTable(t, cfg)
	http, tcp := httpEntry("client", "server"), httpEntry("client", "server")
	tcp.Protocol, tcp.SentBytes = mesh.ProtocolTCP, 7
	consume(t, table, http, http, tcp)
	before := snapshot(table)

	cfg.MaxSeries, cfg.SpanMetrics, cfg.Exemplars = 7, true, false
	if err := table.Reconfigure(cfg, nil); err != nil {
		t.Fatalf("Reconfigure: %v", err)
	}
	consume(t, table, http)
	s := snapshot(table)
	if got := s.Views[0].Rows[0].Series; got != before.Views[0].Rows[0].Series {
		t.Error("a series ended although its view stayed as it was")
	}
	if got := s.Views[0].Count(0, &s.Views[0].Families[0]); got != 3 {
		t.Errorf("requests %d; want 3", got)
	}
	if n := len(s.Views); n != 4 || len(s.Views[3].Rows) != 1 {
		t.Errorf("%d views; want that of the spans, too, with a row", n)
	}

	// An exclusion in one family splits the view: its series end.
	cfg.Families = map[string]FamilyConfig{MetricRequestBytes: {ExcludeLabels: []string{"source_app"}}}
	if err := table.Reconfigure(cfg, nil); err != nil {
		t.Fatalf("Reconfigure: %v", err)
	}
	s = snapshot(table)
	if n := len(s.Views); n != 5 || s.Views[0].Name != "http:requests_total+request_duration_milliseconds+response_bytes" ||
		s.Views[1].Name != "http:request_bytes" {
		t.Errorf("%d views, the first %q, %q", n, s.Views[0].Name, s.Views[1].Name)
	}
	if len(s.Views[0].Rows) != 0 || len(s.Views[1].Rows) != 0 {
		t.Error("series of a view that is split are still there")
	}
	for i := range s.Views {
		if s.Views[i].Name == "tcp" && len(s.Views[i].Rows) != 1 {
			t.Error("the TCP series ended")
		}
	}
	if s.Stats.Counted != 4 || table.Stats().Counted != 4 {
		t.Errorf("counted %d; want 4: the books survive", s.Stats.Counted)
	}
	for _, v := range s.Stats.Views {
		if v.Name == "http" && (v.Created != 1 || v.Series != 0) {
			t.Errorf("stats of the ended view: %+v; want 1 created, none left", v)
		}
	}
}

func TestReconfigureRefuses(t *testing.T) {
	f := func(change func(*Config), labels []mesh.CustomLabel, want string) {
		t.Helper()
		cfg := testConfig()
		table := newTable(t, cfg)
		consume(t, table, httpEntry("client", "server"))
		change(&cfg)
		err := table.Reconfigure(cfg, labels)
		if err == nil || err.Error() != want {
			t.Errorf("Reconfigure: %v; want %s", err, want)
		}
		if n := len(snapshot(table).Views[0].Rows); n != 1 {
			t.Errorf("%d series after a refusal; want 1", n)
		}
	}
	f(func(c *Config) { c.MaxSeries = 0 }, nil, "max_series: must be at least 1, is 0")
	f(func(c *Config) {}, []mesh.CustomLabel{{Name: "le"}}, `[0]::name: "le" is reserved by Prometheus`)
	f(func(c *Config) {
		c.Buckets = []float64{1}
		c.ByteBuckets = ByteBucketsCoarse
		c.Families = map[string]FamilyConfig{MetricRequestDuration: {Buckets: []float64{2}}}
		c.NativeHistograms.Enabled = true
		c.NativeHistograms.Factor = 2
	}, nil, "needs restart: buckets, byte_buckets, families::istio_request_duration_milliseconds::buckets, native_histograms::enabled, native_histograms::factor")
}

// TestReconfigureWhileCounting checks that no entry is lost from the books.
func TestReconfigureWhileCounting(t *testing.T) {
	cfg := testConfig()
	table := newTable(t, cfg)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			es := tuples(50)
			for i := range es {
				// Of labels that the table has at some time only.
				es[i].Custom = unique.Make("a\x00")
			}
			for range 200 {
				consume(t, table, es...)
			}
		})
	}
	for i := range 50 {
		var labels []mesh.CustomLabel
		for range i % 3 {
			labels = append(labels, mesh.CustomLabel{Name: string(rune('a' + len(labels)))})
		}
		if err := table.Reconfigure(cfg, labels); err != nil {
			t.Errorf("Reconfigure: %v", err)
		}
		flatten(t, snapshot(table)) // no two rows are the same
	}
	wg.Wait()
	if got := table.Stats().Counted; got != 4*200*50 {
		t.Errorf("counted %d; want %d", got, 4*200*50)
	}
}

// TestReconfigureCustom checks that values of other labels than the table's
// make no two series with the same labels.
func TestReconfigureCustom(t *testing.T) {
	table := newTable(t, testConfig(), mesh.CustomLabel{Name: "a"}, mesh.CustomLabel{Name: "b"})
	for _, custom := range []string{"", "1\x00", "1\x00unknown\x00", "1\x00unknown\x003\x00"} {
		e := httpEntry("client", "server")
		if custom != "" {
			e.Custom = unique.Make(custom)
		}
		consume(t, table, e)
	}
	s := snapshot(table)
	flatten(t, s)
	if got := requests(t, s, "a"); got["1"] != 3 || got["unknown"] != 1 {
		t.Errorf("requests by a: %v; want 3 of 1 and 1 unknown", got)
	}
}
