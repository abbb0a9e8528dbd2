package prometheus

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unique"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/red"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// hostile is a label value that must be escaped.
const hostile = "a\\b\"c\nd,e=\"f\"} 1 ümlaut 漢"

// zoo returns a table with everything that a format can show.
func zoo(t testing.TB) *red.Table {
	t.Helper()
	cfg := red.DefaultConfig()
	cfg.ZeroFor = 0
	cfg.NativeHistograms.Enabled = true
	cfg.SpanMetrics = true
	cfg.MaxSeries = 3
	cfg.MaxLabelValues = 2
	table, err := red.New(cfg, []mesh.CustomLabel{{Name: "rule"}})
	if err != nil {
		t.Fatalf("red.New: %v", err)
	}
	es := entries(6)
	for i := range es {
		es[i].Duration = time.Duration(i*i*i) * 700 * time.Microsecond
		es[i].RequestBytes, es[i].ResponseBytes = uint64(i)*100, uint64(i)*1e12
		es[i].Custom = unique.Make("\x00")
	}
	es[1].Custom = unique.Make(hostile + "\x00")
	es[2].TraceSampled = true
	es[2].Protocol, es[2].GRPCStatus, es[2].HasMessages, es[2].RequestMessages = mesh.ProtocolGRPC, 14, true, 3
	es[3].Protocol, es[3].SentBytes, es[3].Opened = mesh.ProtocolTCP, 1<<60+1, true
	es[0].Source, es[0].Code, es[0].Flags, es[0].TraceSampled = mesh.Peer{}, 0, 1<<14, true
	consume(t, table, es...)
	es[0].Duration = time.Hour
	es[2].Duration = 2 * time.Hour
	consume(t, table, es[0], es[0], es[2])
	return table
}

// sample is a line of any format, or what stands for one in protobuf.
type sample struct {
	value    float64
	exemplar string // trace id, value and milliseconds since 1970
}

// want returns the samples of the families of a snapshot, by name and labels.
func want(s *red.Snapshot, created bool) map[string]sample {
	w := map[string]sample{}
	for i := range s.Views {
		v := &s.Views[i]
		for row := range v.Rows {
			values := v.Rows[row].Series.AppendValues(nil)
			name := func(name string, more ...string) string {
				ls := []string{model.MetricNameLabel, name}
				for j, value := range values {
					ls = append(ls, v.Labels[j], value)
				}
				return labels.FromStrings(append(ls, more...)...).WithoutEmpty().String()
			}
			for j := range v.Families {
				f := &v.Families[j]
				ex := v.Exemplars(row, f)
				seconds := float64(v.Rows[row].Series.Created.UnixMilli()) / 1e3
				if created {
					w[name(strings.TrimSuffix(f.Name, "_total")+"_created")] = sample{value: seconds}
				}
				if f.Kind == red.Counter {
					w[name(f.Name)] = sample{float64(v.Count(row, f)), wantExemplar(ex, 0)}
					continue
				}
				n := uint64(0)
				for b, c := range v.Buckets(row, f) {
					n += c
					le := "+Inf"
					if b < len(f.Bounds) {
						le = strconv.FormatFloat(f.Bounds[b], 'f', -1, 64)
					}
					w[name(f.Name+"_bucket", "le", le)] = sample{float64(n), wantExemplar(ex, b)}
				}
				w[name(f.Name+"_count")] = sample{value: float64(n)}
				w[name(f.Name+"_sum")] = sample{value: v.Sum(row, f)}
			}
		}
	}
	return w
}

func wantExemplar(ex []red.Exemplar, i int) string {
	if ex == nil || ex[i].Time == 0 {
		return ""
	}
	return exemplarString(string(ex[i].TraceID()), ex[i].Value, ex[i].Time/1e6)
}

func exemplarString(id string, value float64, ms int64) string {
	return id + " " + strconv.FormatFloat(value, 'g', -1, 64) + " " + strconv.FormatInt(ms, 10)
}

// parse reads an exposition as Prometheus does.
func parse(t *testing.T, body []byte, contentType string) map[string]sample {
	t.Helper()
	p, err := textparse.New(body, contentType, labels.NewSymbolTable(), textparse.ParserOptions{KeepClassicOnClassicAndNativeHistograms: true})
	if err != nil {
		t.Fatalf("textparse.New: %v", err)
	}
	got := map[string]sample{}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatalf("parsing %s: %v", contentType, err)
		}
		if entry == textparse.EntryHistogram {
			_, _, h, _ := p.Histogram()
			if err := h.Validate(); err != nil {
				t.Errorf("native histogram: %v", err)
			}
			continue
		}
		if entry != textparse.EntrySeries {
			continue
		}
		_, _, value := p.Series()
		var ls labels.Labels
		p.Labels(&ls)
		if strings.HasPrefix(ls.Get(model.MetricNameLabel), "tallygate_") || ls.Get(model.MetricNameLabel) == red.MetricBuild {
			continue
		}
		// Prometheus 3 spells le its own way, whatever it read.
		b := labels.NewBuilder(ls)
		if le := ls.Get("le"); le != "" {
			b.Set("le", strings.TrimSuffix(spellLe(t, le), ".0"))
		}
		s := sample{value: value}
		var e exemplar.Exemplar
		if p.Exemplar(&e) {
			s.exemplar = exemplarString(e.Labels.Get("trace_id"), e.Value, e.Ts)
		}
		key := b.Labels().WithoutEmpty().String()
		if _, ok := got[key]; ok {
			t.Errorf("%s is there twice", key)
		}
		got[key] = s
	}
}

func spellLe(t *testing.T, le string) string {
	if le == "+Inf" {
		return le
	}
	f, err := strconv.ParseFloat(le, 64)
	if err != nil {
		t.Errorf("le %q: %v", le, err)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func compare(t *testing.T, got, want map[string]sample) {
	t.Helper()
	for key, w := range want {
		if g, ok := got[key]; !ok || g.exemplar != w.exemplar || math.Abs(g.value-w.value) > 1e-9*math.Abs(w.value) {
			t.Errorf("%s = %v (there: %v); want %v", key, g, ok, w)
		}
	}
	for key, g := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s = %v; want none", key, g)
		}
	}
}

func TestFormats(t *testing.T) {
	f := func(name, accept, contentType string, exemplars, created bool) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			table := zoo(t)
			h := newHandler(t, table)
			h.cfg.CreatedSeries = true
			body, got := get(t, h, accept)
			if !strings.HasPrefix(got, contentType) {
				t.Errorf("content type %q; want %q", got, contentType)
			}
			var s red.Snapshot
			table.Snapshot(&s)
			w := want(&s, created)
			if !exemplars {
				for key, one := range w {
					w[key] = sample{value: one.value}
				}
			}
			compare(t, parse(t, body, got), w)
			if len(w) < 200 {
				t.Errorf("there are only %d samples to compare", len(w))
			}
		})
	}
	f("text", acceptText, "text/plain; version=0.0.4", false, false)
	f("nothing accepted", "image/png", "text/plain; version=0.0.4", false, false)
	f("no accept header", "", "text/plain; version=0.0.4", false, false)
	f("openmetrics", acceptOpenMetrics, "application/openmetrics-text; version=1.0.0", true, true)
	f("old openmetrics", "application/openmetrics-text;version=0.0.1", "application/openmetrics-text; version=0.0.1", true, true)
	f("protobuf", acceptProto, "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", true, false)
}

// TestSpelling holds the spelling that boards made for Envoy ask for: le="250".
func TestSpelling(t *testing.T) {
	h := newHandler(t, zoo(t))
	for _, accept := range []string{acceptText, acceptOpenMetrics} {
		body, contentType := get(t, h, accept)
		for _, le := range []string{"0.5", "1", "250", "3600000", "+Inf"} {
			if !bytes.Contains(body, []byte(`,le="`+le+`"} `)) {
				t.Errorf("%s: there is no le=%q", contentType, le)
			}
		}
		for line := range strings.Lines(string(body)) {
			if strings.HasPrefix(line, "istio_") && strings.Contains(line, `.0"}`) {
				t.Fatalf("%s: %s", contentType, line)
			}
		}
		exemplars := regexp.MustCompile(`le="\+Inf"} \d+ # \{trace_id="` + traceID + `"} 7200000 \d+\.\d\d\d\n`).Match(body)
		if open := accept == acceptOpenMetrics; exemplars != open {
			t.Errorf("%s: exemplars: %v; want %v", contentType, exemplars, open)
		}
	}
}

func TestExpfmtReadsText(t *testing.T) {
	body, _ := get(t, newHandler(t, zoo(t)), acceptText)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("TextToMetricFamilies: %v", err)
	}
	for _, name := range []string{
		red.MetricRequests, red.MetricRequestDuration, red.MetricRequestBytes, red.MetricResponseBytes, red.MetricRequestMessages,
		red.MetricResponseMessages, red.MetricTCPSentBytes, red.MetricTCPReceivedBytes, red.MetricTCPOpened, red.MetricTCPClosed,
		red.MetricSpanCalls, red.MetricSpanDuration, red.MetricBuild, red.MetricEntriesCounted, red.MetricSeries,
		red.MetricSeriesCreated, red.MetricEntriesOverflowed, red.MetricLabelsCapped,
	} {
		if families[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
	if got := families[red.MetricEntriesCounted].Metric[0].GetCounter().GetValue(); got != 9 {
		t.Errorf("%s %v; want 9", red.MetricEntriesCounted, got)
	}
}

// TestProto checks what the parser does not show: timestamps and native
// buckets, against the snapshot.
func TestProto(t *testing.T) {
	table := zoo(t)
	body, _ := get(t, newHandler(t, table), acceptProto)
	families := map[string]*dto.MetricFamily{}
	for r := bytes.NewReader(body); r.Len() > 0; {
		f := &dto.MetricFamily{}
		if err := protodelim.UnmarshalFrom(r, f); err != nil {
			t.Fatalf("UnmarshalFrom: %v", err)
		}
		if families[f.GetName()] != nil {
			t.Errorf("%s is there twice", f.GetName())
		}
		families[f.GetName()] = f
	}
	var s red.Snapshot
	table.Snapshot(&s)
	for i := range s.Views {
		v := &s.Views[i]
		for j := range v.Families {
			f := &v.Families[j]
			got := families[f.Name]
			if got == nil || len(got.Metric) != len(v.Rows) || got.GetHelp() != f.Help || got.GetUnit() != f.Unit {
				t.Fatalf("%s: %v", f.Name, got)
			}
			if unknown := got.ProtoReflect().GetUnknown(); len(unknown) > 0 {
				t.Errorf("%s has unknown fields", f.Name)
			}
			for row, m := range got.Metric {
				if f.Kind == red.Counter {
					if got.GetType() != dto.MetricType_COUNTER || !m.Counter.CreatedTimestamp.AsTime().Equal(v.Rows[row].Series.Created) {
						t.Errorf("%s: created %v; want %v", f.Name, m.Counter.CreatedTimestamp, v.Rows[row].Series.Created)
					}
					continue
				}
				checkHistogram(t, got, m.Histogram, v, f, row)
			}
		}
	}
}

func checkHistogram(t *testing.T, family *dto.MetricFamily, h *dto.Histogram, v *red.View, f *red.Family, row int) {
	t.Helper()
	if family.GetType() != dto.MetricType_HISTOGRAM || !h.CreatedTimestamp.AsTime().Equal(v.Rows[row].Series.Created) {
		t.Errorf("%s: created %v; want %v", f.Name, h.CreatedTimestamp, v.Rows[row].Series.Created)
	}
	n := v.NativeBuckets(row, f)
	got, total := map[int32]uint64{}, h.GetZeroCount()
	at, count, deltas := int32(0), int64(0), h.PositiveDelta
	for _, span := range h.PositiveSpan {
		at += span.GetOffset()
		for range span.GetLength() {
			count += deltas[0]
			deltas = deltas[1:]
			if count > 0 {
				got[at] = uint64(count)
				total += uint64(count)
			}
			at++
		}
	}
	wanted := map[int32]uint64{}
	for i, c := range n.Counts {
		if c > 0 {
			wanted[n.Offset+int32(i)] = c
		}
	}
	if !maps.Equal(got, wanted) || len(deltas) > 0 || h.GetSchema() != n.Schema || h.GetZeroCount() != n.Zero || total != h.GetSampleCount() {
		t.Errorf("%s: native buckets %v, %d zero; want %v, %d", f.Name, got, h.GetZeroCount(), wanted, n.Zero)
	}
}

// TestNativeSpans checks that spans stand for any buckets.
func TestNativeSpans(t *testing.T) {
	f := func(offset int32, counts []uint64, spans ...[2]int64) {
		t.Helper()
		p := &proto{}
		m := p.appendNative(nil, &red.Native{Schema: 3, Offset: offset, Counts: counts})
		h := &dto.Histogram{}
		if err := unmarshal(m, h); err != nil {
			t.Fatalf("Unmarshal: %v", err)
		}
		var got [][2]int64
		for _, s := range h.PositiveSpan {
			got = append(got, [2]int64{int64(s.GetOffset()), int64(s.GetLength())})
		}
		if !slices.Equal(got, spans) {
			t.Errorf("spans of %v at %d: %v; want %v", counts, offset, got, spans)
		}
	}
	f(0, nil)
	f(-5, []uint64{1}, [2]int64{-5, 1})
	f(2, []uint64{1, 0, 0, 1}, [2]int64{2, 4})
	f(2, []uint64{1, 0, 0, 0, 1}, [2]int64{2, 1}, [2]int64{3, 1})
	f(2, []uint64{0, 0, 0, 7, 0, 0, 0, 0}, [2]int64{5, 1})
	f(-1, []uint64{9, 8, 0, 7, 0, 0, 0, 0, 6, 5}, [2]int64{-1, 4}, [2]int64{4, 2})
}

// TestGolden holds the exact text, as of a clock that starts in 2000.
func TestGolden(t *testing.T) {
	f := func(file, accept string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			cfg := red.DefaultConfig()
			cfg.Buckets = []float64{0.5, 250, 3600000}
			cfg.ByteBuckets = red.ByteBucketsCoarse
			for l := range mesh.NumLabels {
				switch l {
				case mesh.LabelReporter, mesh.LabelSourceWorkload, mesh.LabelResponseCode, mesh.LabelGRPCResponseStatus:
				default:
					cfg.ExcludeLabels = append(cfg.ExcludeLabels, l.String())
				}
			}
			table, err := red.New(cfg, []mesh.CustomLabel{{Name: "rule"}})
			if err != nil {
				t.Fatalf("red.New: %v", err)
			}
			es := entries(2)
			for i := range es {
				es[i].Duration, es[i].RequestBytes, es[i].ResponseBytes = 1500*time.Microsecond, 300, 4097
				es[i].TraceSampled = true
				es[i].Custom = unique.Make(hostile + "\x00")
			}
			es[1].Protocol, es[1].SentBytes, es[1].Opened = mesh.ProtocolTCP, 12, true
			consume(t, table, es...)
			time.Sleep(cfg.ZeroFor)
			es[0].Code = 503
			consume(t, table, es[0]) // a new series, held at 0
			h := newHandler(t, table)
			h.cfg.Tag = "v1.2.3"
			h.cfg.CreatedSeries = true
			got, _ := get(t, h, accept)
			name := "testdata/" + file
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatalf("%v (run with -update)", err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs (run with -update to see how):\n%s", name, got)
			}
		})
	}
	f("text.golden", acceptText)
	f("openmetrics.golden", acceptOpenMetrics)
}
