package push

import (
	"encoding/hex"
	"fmt"
	"math"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/red"
)

func pushed(t *testing.T, cfg Config, tab *red.Table) []pmetric.Metrics {
	t.Helper()
	s := &sink{}
	p, _ := newPusher(t, cfg, tab, Destination{"a", s})
	p.snapshot.Raw = true
	p.push(t.Context())
	return s.got
}

func TestConvert(t *testing.T) {
	before := time.Now()
	slow := request("cart")
	slow.Duration, slow.TraceID = 30*time.Hour, "a3ce929d0e0e4736"
	got := pushed(t, DefaultConfig(), table(t, red.DefaultConfig(), request("cart"), slow))
	if len(got) != 1 {
		t.Fatalf("%d requests; want 1", len(got))
	}
	md := got[0]
	m := find(t, md, red.MetricRequestDuration)
	if m.Unit() != "ms" || m.Histogram().AggregationTemporality() != pmetric.AggregationTemporalityCumulative {
		t.Errorf("unit %q, temporality %v", m.Unit(), m.Histogram().AggregationTemporality())
	}
	p := m.Histogram().DataPoints().At(0)
	if p.Count() != 2 || p.Sum() != 12+30*3600*1000 {
		t.Errorf("count %d, sum %v", p.Count(), p.Sum())
	}
	bounds, counts := p.ExplicitBounds().AsRaw(), p.BucketCounts().AsRaw()
	if fmt.Sprint(bounds) != fmt.Sprint(red.DefaultBuckets) || len(counts) != len(bounds)+1 {
		t.Errorf("bounds %v, counts %v", bounds, counts)
	}
	for i, n := range counts {
		want := uint64(0)
		if i == len(bounds) || bounds[i] == 25 {
			want = 1
		}
		if n != want {
			t.Errorf("bucket %d has %d; want %d", i, n, want)
		}
	}
	start, now := p.StartTimestamp().AsTime(), p.Timestamp().AsTime()
	if start.Before(before) || now.Before(start) || now.After(time.Now()) {
		t.Errorf("start %v, time %v", start, now)
	}
	ids := map[string]float64{}
	for i := range p.Exemplars().Len() {
		id := p.Exemplars().At(i).TraceID()
		ids[hex.EncodeToString(id[:])] = p.Exemplars().At(i).DoubleValue()
	}
	if want := map[string]float64{"4bf92f3577b34da6a3ce929d0e0e4736": 12, "0000000000000000a3ce929d0e0e4736": 108e6}; fmt.Sprint(ids) != fmt.Sprint(want) {
		t.Errorf("exemplars %v; want %v", ids, want)
	}
	attributes := p.Attributes()
	for k, want := range map[string]string{
		"reporter": "destination", "source_workload": "frontend", "destination_workload": "cart",
		"destination_service": "cart.svc", "response_code": "200", "response_flags": "-",
	} {
		if v, ok := attributes.Get(k); !ok || v.Str() != want {
			t.Errorf("%s = %q; want %q", k, v.AsString(), want)
		}
	}
	if _, ok := attributes.Get("grpc_response_status"); ok {
		t.Error("an empty label is sent")
	}
	if m := find(t, md, red.MetricRequestBytes); m.Unit() != "By" {
		t.Errorf("unit of bytes is %q", m.Unit())
	}
	if v := find(t, md, red.MetricEntriesCounted).Sum().DataPoints().At(0).IntValue(); v != 2 {
		t.Errorf("counted %d; want 2", v)
	}
	if s := find(t, md, red.MetricRequests).Sum(); !s.IsMonotonic() || s.DataPoints().At(0).IntValue() != 2 {
		t.Error("the request counter is not a monotonic 2")
	}
	if v, _ := find(t, md, red.MetricBuild).Gauge().DataPoints().At(0).Attributes().Get("tag"); v.Str() != "v1" {
		t.Errorf("istio_build has the tag %q", v.Str())
	}
}

func TestConvertExponential(t *testing.T) {
	rc, cfg := red.DefaultConfig(), DefaultConfig()
	rc.NativeHistograms.Enabled = true
	cfg.Histograms = Exponential
	zero := request("cart")
	zero.Duration = 0
	p := find(t, pushed(t, cfg, table(t, rc, request("cart"), zero))[0], red.MetricRequestDuration).ExponentialHistogram().DataPoints().At(0)
	if p.Count() != 2 || p.ZeroCount() != 1 || p.Sum() != 12 {
		t.Fatalf("count %d, zero %d, sum %v", p.Count(), p.ZeroCount(), p.Sum())
	}
	base := math.Exp2(math.Exp2(-float64(p.Scale())))
	for i, n := range p.Positive().BucketCounts().AsRaw() {
		lower := math.Pow(base, float64(int(p.Positive().Offset())+i))
		if in := lower < 12 && 12 <= lower*base; in != (n == 1) {
			t.Errorf("bucket (%v, %v] has %d", lower, lower*base, n)
		}
	}
}

func TestConvertChunks(t *testing.T) {
	var entries []mesh.Entry
	for i := range 100 {
		entries = append(entries, request(fmt.Sprint("service-", i)))
	}
	tcp := request("db")
	tcp.Protocol, tcp.Opened, tcp.SentBytes = mesh.ProtocolTCP, true, 10
	entries = append(entries, tcp)
	tab := table(t, red.DefaultConfig(), entries...)
	f := func(maxPoints, want int) {
		t.Helper()
		cfg := DefaultConfig()
		cfg.MaxPoints = maxPoints
		got := pushed(t, cfg, tab)
		points, series := 0, map[string]bool{}
		for _, md := range got {
			n := md.DataPointCount()
			if n > max(maxPoints, 4) {
				t.Errorf("a request of %d points; want at most %d", n, maxPoints)
			}
			points += n
			ms := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
			for i := range ms.Len() {
				if ms.At(i).Name() == red.MetricRequests {
					for j := range ms.At(i).Sum().DataPoints().Len() {
						w, _ := ms.At(i).Sum().DataPoints().At(j).Attributes().Get("destination_workload")
						series[w.Str()] = true
					}
				}
			}
		}
		if len(got) != want || points != 2+100*4+4 || len(series) != 100 {
			t.Errorf("max_points %d: %d requests, %d points, %d series; want %d, 406, 100", maxPoints, len(got), points, len(series), want)
		}
	}
	f(1000, 1)
	f(100, 5)
	f(1, 102)
}
