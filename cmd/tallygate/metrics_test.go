package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	accesslog "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/tallygate/tallygate/dashboards"
	"github.com/tallygate/tallygate/dashboards/lint"
	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy/quota"
	"github.com/tallygate/tallygate/red"
)

var update = flag.Bool("update", false, "write docs/metrics.md")

//go:generate go test -count=1 -run=^TestMetricsReference$ . -update

const metricsReference = "../../docs/metrics.md"

// exposed is a metric family that a running process has.
type exposed struct {
	name, kind, help string
	labels           map[string]map[string]bool // with values that were seen
	endpoints        []string
}

// Endpoints for Prometheus.
const (
	meshEndpoint  = "9464"
	adminEndpoint = "8282"
)

// startEverything runs every section that has metrics, and makes each family
// have a value that has one only after something happened.
func startEverything(t *testing.T) map[string]*exposed {
	t.Helper()
	dir := t.TempDir()
	one, two, limits := filepath.Join(dir, "one.rego"), filepath.Join(dir, "two.rego"), filepath.Join(dir, "limits.yaml")
	if err := os.WriteFile(limits, []byte("domain: shop\ndescriptors: [{key: user, rate_limit: {unit: second, requests_per_unit: 5}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(one, []byte(charged), 0o600); err != nil {
		t.Fatal(err)
	}
	policyFile(t, two, "bob")
	p := startProc(t, everything, "policy.paths=["+one+"]", "policy.shadow.paths=["+two+"]",
		"ratelimit.paths=["+limits+"]", "ingest.ratelimit.endpoint=127.0.0.1:0", "exporters.local.directory="+filepath.Join(dir, "spans"))
	chargeOnce(t, p.quotas)
	c := p.checks(t)
	p.until("checks are allowed, denied and judged by the candidate", func() bool {
		allows(t, c, "alice")
		allows(t, c, "bob")
		_, body := p.get(p.adminURL("/metrics"))
		return sum(body, `tallygate_policy_shadow_decisions_total\{enforced="allow",rule="[^"]*",shadow="deny"`) > 0 &&
			sum(body, `tallygate_policy_decisions_total\{[^}]*verdict="deny"`) > 0
	})
	e := dialEnvoy(t, p.alsListener.Addr().String(), nil)
	e.mustSend(3, nil)
	e.mustSend(1, map[string]string{"source_workload": "beyond the cap"})
	e.mustSendTCP()
	p.until("entries are counted", func() bool { return p.requests() == 4 })
	p.until("TCP is counted", func() bool {
		_, body := p.get(p.metricsURL())
		return sum(body, red.MetricTCPSentBytes+`\{`) > 0
	})
	p.until("points are pushed", func() bool {
		_, body := p.get(p.metricsURL())
		return sum(body, `tallygate_push_points_total\{`) > 0
	})

	p.until("spans are exported", func() bool {
		_, body := p.get(p.metricsURL())
		return sum(body, `tallygate_spans_exported_total\{`) > 0
	})
	p.until("spans are kept and found", func() bool {
		p.get("http://" + p.storing.listener.Addr().String() + "/api/services")
		_, body := p.get(p.adminURL("/metrics"))
		return sum(body, `tallygate_storage_local_written_spans_total`) > 0 && sum(body, `tallygate_storage_query_requests_total\{`) > 0 &&
			strings.Contains(body, "tallygate_storage_cassandra_statements_total{")
	})
	p.until("quotas are charged", func() bool {
		_, body := p.get(p.adminURL("/metrics"))
		return sum(body, `tallygate_quota_top_key_used_ratio\{`) >= 0 && strings.Contains(body, "tallygate_quota_answers_total{")
	})

	all := map[string]*exposed{}
	p.describe(all, p.books, meshEndpoint, adminEndpoint)
	p.describe(all, p.daemon.own, adminEndpoint)
	p.scrape(all, p.metricsURL(), meshEndpoint)
	p.scrape(all, p.adminURL("/metrics"), adminEndpoint)
	// A request is of one protocol: those of gRPC have a label set of their own.
	var s red.Snapshot
	p.table.Snapshot(&s)
	for _, v := range s.Views {
		for _, f := range v.Families {
			x := family(all, f.Name, meshEndpoint)
			x.help, x.kind = f.Help, f.Kind.String()
			for _, label := range v.Labels {
				x.label(label, "")
			}
		}
	}
	return all
}

const everything = `
labels: []
red: {span_metrics: true, max_label_values: 1}
policy: {shadow: {share: 1}}
quota: {source: redis, redis: {addresses: ["127.0.0.1:1"]}}
ingest: {forward_auth: {mode: nginx}}
exporters:
  debug: {}
  local: {min_free_bytes: 0}
  cassandra: {connection: {servers: ["127.0.0.1:1"]}, retry_on_failure: {enabled: false}}
push: {interval: 1s, exporters: [debug]}
spans: {flush_interval: 100ms, sampling: {head: {ratio: 1}}, exporters: [debug, local, cassandra]}
query: {endpoint: "127.0.0.1:0", store: local}
`

// charged is a policy whose decisions name quotas.
const charged = `package envoy.authz

default allow := {"allowed": false, "quotas": [{"name": "strangers", "key": "all", "limit": 1000, "per": "1m"}]}

allow := {"allowed": true, "quotas": [{"name": "per-user", "key": input.attributes.request.http.headers["x-user"], "limit": 1000, "per": "1m"}]} if {
	input.attributes.request.http.headers["x-user"] == "alice"
}
`

// mustSendTCP sends a connection that was opened and closed.
func (e *envoy) mustSendTCP() {
	e.t.Helper()
	entry := func(kind accesslog.AccessLogType, bytes uint64) *accesslog.TCPAccessLogEntry {
		return &accesslog.TCPAccessLogEntry{
			CommonProperties: &accesslog.AccessLogCommon{
				StreamId: "tcp-1", AccessLogType: kind,
				CustomTags: map[string]string{"reporter": "destination", "source_workload": "a"},
			},
			ConnectionProperties: &accesslog.ConnectionProperties{ReceivedBytes: bytes, SentBytes: bytes},
		}
	}
	err := e.stream.Send(&alsv3.StreamAccessLogsMessage{
		Identifier: &alsv3.StreamAccessLogsMessage_Identifier{LogName: "test", Node: &core.Node{Id: "b-1", Cluster: "b.default"}},
		LogEntries: &alsv3.StreamAccessLogsMessage_TcpLogs{TcpLogs: &alsv3.StreamAccessLogsMessage_TCPAccessLogEntries{LogEntry: []*accesslog.TCPAccessLogEntry{
			entry(accesslog.AccessLogType_TcpConnectionStart, 0), entry(accesslog.AccessLogType_TcpConnectionEnd, 7),
		}}},
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

func family(all map[string]*exposed, name, endpoint string) *exposed {
	x := all[name]
	if x == nil {
		x = &exposed{name: name, labels: map[string]map[string]bool{}}
		all[name] = x
	}
	if !slices.Contains(x.endpoints, endpoint) {
		x.endpoints = append(x.endpoints, endpoint)
		slices.Sort(x.endpoints)
	}
	return x
}

func (x *exposed) label(name, value string) {
	if x.labels[name] == nil {
		x.labels[name] = map[string]bool{}
	}
	if value != "" {
		x.labels[name][value] = true
	}
}

var description = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: ("(?:[^"\\]|\\.)*"), .*constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// describe notes what collectors promise, whether or not they have it yet.
func (p *proc) describe(all map[string]*exposed, reg *prometheus.Registry, endpoints ...string) {
	p.t.Helper()
	ch := make(chan *prometheus.Desc)
	go func() { reg.Describe(ch); close(ch) }()
	for d := range ch {
		m := description.FindStringSubmatch(d.String())
		if m == nil {
			p.t.Fatalf("client_golang describes a metric in another way: %s", d)
		}
		for _, endpoint := range endpoints {
			x := family(all, m[1], endpoint)
			if strings.HasSuffix(x.name, "_total") {
				x.kind = "counter"
			}
			if _, err := fmt.Sscanf(m[2], "%q", &x.help); err != nil {
				p.t.Fatal(err)
			}
			for pair := range strings.SplitSeq(m[3], ",") {
				if label, _, ok := strings.Cut(pair, "="); ok {
					x.label(label, "")
				}
			}
			for label := range strings.SplitSeq(m[4], ",") {
				if label != "" {
					x.label(label, "")
				}
			}
		}
	}
}

// scrape notes what is there.
func (p *proc) scrape(all map[string]*exposed, url, endpoint string) {
	p.t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		p.t.Fatalf("%s: %v", url, err)
	}
	for name, f := range families {
		x := family(all, name, endpoint)
		x.help = f.GetHelp()
		x.kind = strings.ToLower(f.GetType().String())
		if f.GetType() == dto.MetricType_UNTYPED {
			p.t.Errorf("%s has no type", name)
		}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				x.label(l.GetName(), l.GetValue())
			}
		}
	}
}

// TestMetricsReference: docs/metrics.md has every family of every /metrics, as a
// running process serves it.
func TestMetricsReference(t *testing.T) {
	all := startEverything(t)
	want := referenceOf(t, all)
	if *update {
		if err := os.WriteFile(metricsReference, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(metricsReference)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/metrics.md is not what a running process has: go generate ./cmd/tallygate")
	}
}

func referenceOf(t *testing.T, all map[string]*exposed) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# Metrics

Every family of every ` + "`/metrics`" + `, as a running process has it: generated by ` + "`go generate ./cmd/tallygate`" + `.
Histograms add ` + "`_bucket`, `_sum` and `_count`" + `. The labels of Istio's metrics and where their values come from are in [identity.md](identity.md);
labels that a configuration adds are not here.

`)
	sections := []struct {
		title, intro string
		has          func(*exposed) bool
	}{
		{"The mesh, on :9464", "Istio's names, labels and buckets. \"Sent\" is what the server side sent.", func(x *exposed) bool {
			return !strings.HasPrefix(x.name, "tallygate_") && x.endpoints[0] == "9464" || x.name == red.MetricBuild
		}},
		{"The books, on :9464", "What became of what was received, from the same snapshot as the mesh's metrics. Most are on :8282 too: sum over one of the two jobs.", func(x *exposed) bool {
			return strings.HasPrefix(x.name, "tallygate_") && slices.Contains(x.endpoints, meshEndpoint)
		}},
		{"Tallygate itself, on :8282", "", func(x *exposed) bool {
			return strings.HasPrefix(x.name, "tallygate_") && !slices.Contains(x.endpoints, meshEndpoint)
		}},
	}
	for _, s := range sections {
		fmt.Fprintf(&b, "## %s\n\n", s.title)
		if s.intro != "" {
			b.WriteString(s.intro + "\n\n")
		}
		b.WriteString("| name | type | labels | meaning |\n|---|---|---|---|\n")
		for _, x := range slices.SortedFunc(maps.Values(all), func(a, b *exposed) int { return cmp.Compare(a.name, b.name) }) {
			if !s.has(x) {
				continue
			}
			if x.kind == "" {
				t.Errorf("%s has no value, so its type is not known: make startEverything give it one", x.name)
			}
			labels := slices.Sorted(maps.Keys(x.labels))
			if len(labels) > 15 {
				labels = []string{fmt.Sprintf("Istio's (%d)", len(labels))}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", x.name, x.kind, strings.Join(labels, ", "), strings.ReplaceAll(x.help, "|", `\|`))
		}
		b.WriteString("\n")
	}
	b.WriteString("Beside them :8282 has `go_*` and `process_*` of client_golang and `promhttp_*` of the endpoint itself.\n")
	return b.String()
}

// TestBoardsExist: boards, rules and their legends name only metrics, labels and
// values that a running process serves.
func TestBoardsExist(t *testing.T) {
	known := lint.Known{}
	for _, x := range startEverything(t) {
		names := []string{x.name}
		if x.kind == "histogram" {
			names = []string{x.name + "_bucket", x.name + "_sum", x.name + "_count"}
			known.Add(names[0], "le", "")
		}
		for _, name := range names {
			known.Add(name, "", "")
			for label, values := range x.labels {
				known.Add(name, label, "")
				for value := range values {
					known.Add(name, label, value)
				}
			}
		}
	}
	// Of these a series begins with its first charge.
	for s := mesh.QuotaLocal; s <= mesh.QuotaFailed; s++ {
		known.Add(quota.MetricAnswers, quota.LabelSource, s.String())
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Record, Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(dashboards.Rules(), &rules); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			e, err := lint.ParseExpr(r.Expr)
			if err != nil {
				t.Fatalf("%s%s: %v", r.Record, r.Alert, err)
			}
			for _, p := range known.Check(e) {
				t.Errorf("%s%s: %s", r.Record, r.Alert, p)
			}
			if r.Record != "" {
				known.AddRule(r.Record, e)
			}
			checked++
		}
	}
	files := dashboards.Boards()
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := lint.Parse(name, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range lint.Exist(d, known) {
			t.Error(p)
		}
		queries, err := d.Queries()
		if err != nil {
			t.Fatal(err)
		}
		checked += len(queries)
	}
	if len(names) < 6 || checked < 150 {
		t.Errorf("only %d boards with %d expressions", len(names), checked)
	}
	t.Logf("%d expressions of %d boards and the rules name only what there is", checked, len(names))
}
