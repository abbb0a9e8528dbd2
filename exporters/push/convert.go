package push

import (
	"encoding/hex"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/tallygate/tallygate/red"
)

// converter writes one snapshot as requests.
// Source: opentelemetry-proto metrics.proto, and the compatibility
// specification of OpenTelemetry with Prometheus for names and units.
type converter struct {
	cfg    *Config
	opts   *Options
	s      *red.Snapshot
	send   func(pmetric.Metrics)
	md     pmetric.Metrics
	scope  pmetric.ScopeMetrics
	points int
	values []string
}

func (c *converter) convert() {
	c.begin()
	c.build()
	for i := range c.s.Views {
		c.view(&c.s.Views[i])
	}
	c.flush()
}

func (c *converter) begin() {
	c.md, c.points = pmetric.NewMetrics(), 0
	rm := c.md.ResourceMetrics().AppendEmpty()
	a := rm.Resource().Attributes()
	a.PutStr("service.name", "tallygate")
	if c.opts.Instance != "" {
		a.PutStr("service.instance.id", c.opts.Instance)
	}
	for k, v := range c.cfg.Resource {
		a.PutStr(k, v)
	}
	// The scope has no name and no version: they would become labels, and every
	// upgrade would make all series anew.
	c.scope = rm.ScopeMetrics().AppendEmpty()
}

func (c *converter) flush() {
	if c.points > 0 {
		c.send(c.md)
	}
}

// build is the gauge by which Istio's boards find the components of a mesh, and
// the table's own count.
func (c *converter) build() {
	m := c.scope.Metrics().AppendEmpty()
	m.SetName(red.MetricBuild)
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetTimestamp(c.time(c.s.Time))
	p.SetIntValue(1)
	p.Attributes().PutStr("component", "tallygate")
	p.Attributes().PutStr("tag", c.opts.Version)

	m = c.scope.Metrics().AppendEmpty()
	m.SetName(red.MetricEntriesCounted)
	sum := cumulative(m)
	p = sum.DataPoints().AppendEmpty()
	p.SetTimestamp(c.time(c.s.Time))
	p.SetIntValue(int64(c.s.Stats.Counted))
	c.points += 2
}

// view writes the rows of v in stripes, so that a request holds some rows with
// all their families: what belongs together travels together.
func (c *converter) view(v *red.View) {
	for first := 0; first < len(v.Rows); {
		room := (c.cfg.MaxPoints - c.points) / len(v.Families)
		if room == 0 && c.points > 0 {
			c.flush()
			c.begin()
			continue
		}
		end := min(first+max(room, 1), len(v.Rows))
		for i := range v.Families {
			c.family(v, &v.Families[i], first, end)
		}
		c.points += (end - first) * len(v.Families)
		first = end
	}
}

func (c *converter) family(v *red.View, f *red.Family, first, end int) {
	m := c.scope.Metrics().AppendEmpty()
	m.SetName(f.Name)
	m.SetDescription(f.Help)
	m.SetUnit(unit(f.Unit))
	switch {
	case f.Kind == red.Counter:
		ps := cumulative(m).DataPoints()
		ps.EnsureCapacity(end - first)
		for row := first; row < end; row++ {
			p := ps.AppendEmpty()
			c.identify(v, row, p.Attributes(), p.SetStartTimestamp, p.SetTimestamp)
			p.SetIntValue(int64(v.Count(row, f)))
			exemplars(v.Exemplars(row, f), p.Exemplars())
		}
	case f.Native && c.cfg.Histograms == Exponential:
		h := m.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		h.DataPoints().EnsureCapacity(end - first)
		for row := first; row < end; row++ {
			p := h.DataPoints().AppendEmpty()
			c.identify(v, row, p.Attributes(), p.SetStartTimestamp, p.SetTimestamp)
			exponential(v.NativeBuckets(row, f), p)
			p.SetSum(v.Sum(row, f))
			exemplars(v.Exemplars(row, f), p.Exemplars())
		}
	default:
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		h.DataPoints().EnsureCapacity(end - first)
		for row := first; row < end; row++ {
			p := h.DataPoints().AppendEmpty()
			c.identify(v, row, p.Attributes(), p.SetStartTimestamp, p.SetTimestamp)
			buckets := v.Buckets(row, f)
			p.ExplicitBounds().FromRaw(f.Bounds)
			p.BucketCounts().FromRaw(buckets)
			p.SetCount(total(buckets))
			p.SetSum(v.Sum(row, f))
			exemplars(v.Exemplars(row, f), p.Exemplars())
		}
	}
}

// identify sets labels and times. A label with an empty value is the same as
// none, and remote write forbids it.
func (c *converter) identify(v *red.View, row int, a pcommon.Map, start, now func(pcommon.Timestamp)) {
	s := v.Rows[row].Series
	c.values = s.AppendValues(c.values[:0])
	a.EnsureCapacity(len(c.values))
	for i, value := range c.values {
		if value != "" {
			a.PutStr(v.Labels[i], value)
		}
	}
	start(c.time(s.Created))
	now(max(c.time(c.s.Time), c.time(s.Created))) // a series can be newer than the snapshot
}

func (*converter) time(t time.Time) pcommon.Timestamp { return pcommon.NewTimestampFromTime(t) }

func cumulative(m pmetric.Metric) pmetric.Sum {
	s := m.SetEmptySum()
	s.SetIsMonotonic(true)
	s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	return s
}

// exponential writes native buckets; OpenTelemetry's bucket i has the upper
// bound of Prometheus' bucket i+1.
func exponential(n *red.Native, p pmetric.ExponentialHistogramDataPoint) {
	p.SetScale(n.Schema)
	p.SetZeroCount(n.Zero)
	p.SetCount(n.Zero + total(n.Counts))
	p.Positive().SetOffset(n.Offset - 1)
	p.Positive().BucketCounts().FromRaw(n.Counts)
}

func exemplars(from []red.Exemplar, to pmetric.ExemplarSlice) {
	for i := range from {
		e := &from[i]
		if e.Time == 0 {
			continue
		}
		var id pcommon.TraceID // an id of 64 bits is padded on the left
		if n, err := hex.Decode(id[len(id)-len(e.TraceID())/2:], e.TraceID()); err != nil || n == 0 {
			continue
		}
		x := to.AppendEmpty()
		x.SetTraceID(id)
		x.SetTimestamp(pcommon.Timestamp(e.Time))
		x.SetDoubleValue(e.Value)
	}
}

func total(counts []uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// unit is the UCUM code. Prometheus' translation makes of it the suffix that
// the name has already.
func unit(u string) string {
	switch u {
	case "milliseconds":
		return "ms"
	case "bytes":
		return "By"
	}
	return u
}
