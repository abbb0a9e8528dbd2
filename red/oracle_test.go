package red

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unique"

	"github.com/tallygate/tallygate/mesh"
)

// oracle is the table as one would write it without a thought of its cost: a
// map from rendered label sets, per family, to what they are.
type oracle struct {
	cfg    Config
	labels []mesh.CustomLabel
	count  map[string]uint64 // counters, and _count and _bucket of histograms
	sum    map[string]float64
}

func newOracle(cfg Config, labels []mesh.CustomLabel) *oracle {
	return &oracle{cfg: cfg, labels: labels, count: map[string]uint64{}, sum: map[string]float64{}}
}

func (o *oracle) add(e mesh.Entry) {
	o.addOne(e, true)
	if o.cfg.SynthesizeSourceReporter && e.Reporter == mesh.ReporterDestination {
		e.Reporter, e.Security = mesh.ReporterSource, mesh.SecurityUnknown
		o.addOne(e, false)
	}
}

func (o *oracle) addOne(e mesh.Entry, spans bool) {
	ms := float64(e.Duration) / 1e6
	istio := o.istioLabels(e)
	if e.Protocol == mesh.ProtocolTCP {
		tcp := without(istio, "response_code", "grpc_response_status")
		o.counter(MetricTCPSentBytes, tcp, e.SentBytes)
		o.counter(MetricTCPReceivedBytes, tcp, e.ReceivedBytes)
		o.counter(MetricTCPOpened, tcp, one(e.Opened))
		o.counter(MetricTCPClosed, tcp, one(e.Closed))
		return
	}
	o.counter(MetricRequests, istio, 1)
	o.histogram(MetricRequestDuration, istio, ms)
	o.histogram(MetricRequestBytes, istio, float64(e.RequestBytes))
	o.histogram(MetricResponseBytes, istio, float64(e.ResponseBytes))
	if e.HasMessages {
		messages := without(istio, "request_protocol", "response_code", "grpc_response_status", "response_flags", "connection_security_policy")
		o.counter(MetricRequestMessages, messages, e.RequestMessages)
		o.counter(MetricResponseMessages, messages, e.ResponseMessages)
	}
	if !o.cfg.SpanMetrics || !spans || e.Reporter != mesh.ReporterSource && e.Reporter != mesh.ReporterDestination {
		return
	}
	span := map[string]string{
		"service_name": e.Destination.Value().CanonicalService,
		"span_kind":    "SPAN_KIND_SERVER",
		"span_name":    e.Method,
		"status_code":  "STATUS_CODE_UNSET",
	}
	if e.Reporter == mesh.ReporterSource {
		span["service_name"], span["span_kind"] = e.Source.Value().CanonicalService, "SPAN_KIND_CLIENT"
	}
	if e.IsError() {
		span["status_code"] = "STATUS_CODE_ERROR"
	}
	if e.Method == "" {
		span["span_name"] = "unknown"
	}
	if e.Method == "PURGE" {
		span["span_name"] = "_OTHER"
	}
	o.counter(MetricSpanCalls, span, 1)
	o.histogram(MetricSpanDuration, span, ms)
}

func (o *oracle) istioLabels(e mesh.Entry) map[string]string {
	s, d, svc := e.Source.Value(), e.Destination.Value(), e.Service.Value()
	m := map[string]string{
		"reporter":                       e.Reporter.String(),
		"source_workload":                s.Name,
		"source_canonical_service":       s.CanonicalService,
		"source_canonical_revision":      s.CanonicalRevision,
		"source_workload_namespace":      s.Namespace,
		"source_principal":               s.Principal,
		"source_app":                     s.App,
		"source_version":                 s.Version,
		"source_cluster":                 s.Cluster,
		"destination_workload":           d.Name,
		"destination_canonical_service":  d.CanonicalService,
		"destination_canonical_revision": d.CanonicalRevision,
		"destination_workload_namespace": d.Namespace,
		"destination_principal":          d.Principal,
		"destination_app":                d.App,
		"destination_version":            d.Version,
		"destination_cluster":            d.Cluster,
		"destination_service":            svc.Host,
		"destination_service_name":       svc.Name,
		"destination_service_namespace":  svc.Namespace,
		"request_protocol":               e.Protocol.String(),
		"response_code":                  strconv.Itoa(int(e.Code)),
		"grpc_response_status":           "",
		"response_flags":                 e.Flags.String(),
		"connection_security_policy":     e.Security.String(),
	}
	if e.GRPCStatus >= 0 {
		m["grpc_response_status"] = strconv.Itoa(int(e.GRPCStatus))
	}
	if len(o.labels) > 0 {
		for i, value := range strings.Split(strings.TrimSuffix(e.Custom.Value(), "\x00"), "\x00") {
			m[o.labels[i].Name] = value
		}
	}
	return m
}

func (o *oracle) key(family string, labels map[string]string) (key string, ok bool) {
	fc := o.cfg.Families[family]
	labels = without(without(labels, o.cfg.ExcludeLabels...), fc.ExcludeLabels...)
	return family + render(labels), !fc.Disabled
}

func (o *oracle) counter(family string, labels map[string]string, n uint64) {
	if key, ok := o.key(family, labels); ok {
		o.count[key] += n
	}
}

func (o *oracle) histogram(family string, labels map[string]string, x float64) {
	key, ok := o.key(family, labels)
	if !ok {
		return
	}
	bounds := o.cfg.Buckets
	if strings.HasSuffix(family, "_bytes") && o.cfg.ByteBuckets == ByteBucketsCoarse {
		bounds = CoarseByteBuckets
	}
	if b := o.cfg.Families[family].Buckets; b != nil {
		bounds = b
	}
	o.sum[key] += x
	for i, b := range bounds {
		if x <= b {
			o.count[key+"#"+strconv.Itoa(i)]++
			return
		}
	}
	o.count[key+"#"+strconv.Itoa(len(bounds))]++
}

func one(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func without(labels map[string]string, names ...string) map[string]string {
	labels = maps.Clone(labels)
	for _, name := range names {
		delete(labels, name)
	}
	return labels
}

func render(labels map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		fmt.Fprintf(&b, " %s=%q", name, labels[name])
	}
	return b.String()
}

// flatten turns a snapshot into the form of an oracle. A counter that is 0 may
// be there or not.
func flatten(t *testing.T, s *Snapshot) *oracle {
	t.Helper()
	o := newOracle(Config{}, nil)
	for i := range s.Views {
		v := &s.Views[i]
		for row := range v.Rows {
			labels := map[string]string{}
			for j, value := range v.Rows[row].Series.AppendValues(nil) {
				labels[v.Labels[j]] = value
			}
			for j := range v.Families {
				f := &v.Families[j]
				key := f.Name + render(labels)
				if _, ok := o.count[key]; ok {
					t.Errorf("two rows are %s", key)
				}
				if f.Kind == Counter {
					o.count[key] = v.Count(row, f)
					continue
				}
				o.sum[key] = v.Sum(row, f)
				for b, n := range v.Buckets(row, f) {
					if n > 0 {
						o.count[key+"#"+strconv.Itoa(b)] = n
					}
				}
			}
		}
	}
	return o
}

func compare(t *testing.T, got, want *oracle) {
	t.Helper()
	for key, n := range want.count {
		if got.count[key] != n {
			t.Errorf("%s = %d; want %d", key, got.count[key], n)
		}
	}
	for key, n := range got.count {
		if _, ok := want.count[key]; !ok {
			t.Errorf("%s = %d; want none", key, n)
		}
	}
	for key, x := range want.sum {
		if d := got.sum[key] - x; d > 1e-6*x || d < -1e-6*x {
			t.Errorf("%s_sum = %v; want %v", key, got.sum[key], x)
		}
	}
	if len(got.sum) != len(want.sum) {
		t.Errorf("%d histograms; want %d", len(got.sum), len(want.sum))
	}
}

// randomEntry draws from few values, so that label sets meet again.
func randomEntry(r *rand.Rand, custom int) mesh.Entry {
	anyPeer := func() mesh.Peer {
		pick := func(values ...string) string { return values[r.IntN(len(values))] }
		return unique.Make(mesh.Workload{
			Name:              pick("a", "b"),
			Namespace:         pick("n1", "unknown"),
			CanonicalService:  pick("a", "b"),
			CanonicalRevision: "latest",
			Principal:         pick("unknown", "spiffe://x"),
			App:               pick("a", "b"),
			Version:           pick("v1", "v2"),
			Cluster:           pick("east", "west"),
		})
	}
	e := mesh.Entry{
		Source:      anyPeer(),
		Destination: anyPeer(),
		Service:     unique.Make(mesh.DestinationService{Host: fmt.Sprintf("h%d", r.IntN(2)), Name: fmt.Sprintf("s%d", r.IntN(2)), Namespace: "n"}),
		Protocol:    mesh.Protocol(r.IntN(3)),
		Reporter:    mesh.Reporter(r.IntN(4)),
		Security:    mesh.Security(r.IntN(3)),
		GRPCStatus:  mesh.NoGRPCStatus,
		Duration:    time.Duration(r.ExpFloat64() * float64(300*time.Millisecond)),
		Method:      []string{"", "GET", "POST", "PURGE"}[r.IntN(4)],
	}
	if r.IntN(4) == 0 {
		e.Duration = time.Duration(DefaultBuckets[r.IntN(len(DefaultBuckets))] * 1e6) // on a bound
	}
	var values []string
	for range custom {
		values = append(values, strconv.Itoa(r.IntN(2)))
	}
	if custom > 0 {
		e.Custom = unique.Make(joinCustom(values))
	}
	switch e.Protocol {
	case mesh.ProtocolTCP:
		e.SentBytes, e.ReceivedBytes = r.Uint64N(1e6), r.Uint64N(1e6)
		e.Opened, e.Closed = r.IntN(2) == 0, r.IntN(2) == 0
		e.Flags = mesh.Flags(r.IntN(2)) << 14
	case mesh.ProtocolGRPC:
		e.GRPCStatus = int16(r.IntN(17))
		e.HasMessages = r.IntN(2) == 0
		e.RequestMessages, e.ResponseMessages = r.Uint64N(10), r.Uint64N(10)
		fallthrough
	default:
		e.Code = []uint32{0, 200, 404, 503}[r.IntN(4)]
		e.Flags = mesh.Flags(r.IntN(2)) << r.IntN(28)
		e.RequestBytes, e.ResponseBytes = r.Uint64N(5000), r.Uint64N(1<<r.IntN(40))
	}
	return e
}

func TestTableEqualsOracle(t *testing.T) {
	custom := []mesh.CustomLabel{{Name: "rule"}, {Name: "tenant"}}
	f := func(name string, change func(*Config), labels ...mesh.CustomLabel) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			change(&cfg)
			table, want := newTable(t, cfg, labels...), newOracle(cfg, labels)
			r := rand.New(rand.NewPCG(1, 2))
			const batches, batch = 40, 64
			for range batches {
				var es []mesh.Entry
				for range batch {
					es = append(es, randomEntry(r, len(labels)))
					want.add(es[len(es)-1])
				}
				consume(t, table, es...)
			}
			s := snapshot(table)
			compare(t, flatten(t, s), want)
			if s.Stats.Counted != batches*batch {
				t.Errorf("counted %d; want %d", s.Stats.Counted, batches*batch)
			}
		})
	}
	f("default", func(*Config) {})
	f("all", func(c *Config) {
		c.SpanMetrics, c.SynthesizeSourceReporter, c.NativeHistograms.Enabled = true, true, true
	}, custom...)
	f("coarse", func(c *Config) { c.ByteBuckets = ByteBucketsCoarse })
	f("excluded", func(c *Config) {
		c.ExcludeLabels = []string{"source_principal", "destination_principal", "response_flags", "destination_service_namespace", "tenant"}
	}, custom...)
	f("sides", func(c *Config) {
		for l := mesh.LabelSourceWorkload; l <= mesh.LabelDestinationCluster; l++ {
			c.ExcludeLabels = append(c.ExcludeLabels, l.String())
		}
	})
	f("everything excluded", func(c *Config) {
		for l := range mesh.NumLabels {
			c.ExcludeLabels = append(c.ExcludeLabels, l.String())
		}
		c.ExcludeLabels = append(c.ExcludeLabels, "rule", "tenant")
	}, custom...)
	f("families", func(c *Config) {
		c.Families = map[string]FamilyConfig{
			MetricRequestBytes:    {ExcludeLabels: []string{"response_code", "source_version", "rule"}},
			MetricResponseBytes:   {Disabled: true},
			MetricRequestDuration: {Buckets: []float64{0.1, 1, 10}},
			MetricTCPSentBytes:    {ExcludeLabels: []string{"reporter"}},
		}
	}, custom...)
	f("none", func(c *Config) {
		c.Families = map[string]FamilyConfig{}
		for _, s := range specs {
			c.Families[s.name] = FamilyConfig{Disabled: true}
		}
	})
}
