//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tallygate/tallygate/dashboards"
	"github.com/tallygate/tallygate/dashboards/lint"
	"github.com/tallygate/tallygate/test/testbed"
)

// policed is the world of world_test.go whose sidecars ask Tallygate before a
// request reaches an application, and whose Prometheus scrapes both endpoints and
// has our rules.
type policed struct {
	*world
	policy string // file of the enforced policy
	limits string // address of the RateLimitService
}

const (
	allowAll   = "package envoy.authz\n\ndefault allow := true\n"
	denyDenied = `package envoy.authz

default allow := {"allowed": true, "quotas": [{"name": "everybody", "key": "all", "limit": 20, "per": "1s", "shadow": true}]}

allow := false if startswith(input.attributes.request.http.path, "/denied")
`
	denyStatus   = "package envoy.authz\n\ndefault allow := true\n\nallow := false if startswith(input.attributes.request.http.path, \"/status\")\n"
	denyBackend  = "package envoy.authz\n\ndefault allow := true\n\nallow := false if startswith(input.attributes.request.http.host, \"backend.\")\n"
	limitBackend = "package envoy.authz\n\nhttp := input.attributes.request.http\n\ndefault allow := true\n\n" +
		"allow := {\"allowed\": true, \"quotas\": [{\"name\": \"backend-hourly\", \"key\": http.method, \"limit\": 3, \"per\": \"1h\"}]} if startswith(http.host, \"backend.\")\n"
)

func startPoliced(t *testing.T, enforced string) *policed {
	t.Helper()
	dir := t.TempDir()
	p := &policed{policy: filepath.Join(dir, "enforced.rego")}
	candidate := filepath.Join(dir, "candidate.rego")
	p.enforce(t, enforced)
	if err := os.WriteFile(candidate, []byte(denyStatus), 0o644); err != nil {
		t.Fatal(err)
	}
	checks, err := testbed.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if p.limits, err = testbed.FreeAddr("127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	spans, err := testbed.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	limits := filepath.Join(dir, "limits.yaml")
	if err := os.WriteFile(limits, []byte("domain: shop\ndescriptors: [{key: user, rate_limit: {unit: second, requests_per_unit: 5}}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.world = startWorld(t, worldConfig{
		Tallygate: testbed.TallygateConfig{
			RED: object{"span_metrics": true},
			More: object{
				"policy":    object{"paths": array{p.policy}, "shadow": object{"share": 1, "paths": array{candidate}}},
				"ingest":    object{"extauthz": object{"endpoint": checks}, "ratelimit": object{"endpoint": p.limits}},
				"ratelimit": object{"paths": array{limits}},
				"quota":     object{"source": "redis", "redis": object{"addresses": array{StartRedis(t).Addr}, "timeout": "1s"}},
				"exporters": object{"local": object{"directory": filepath.Join(dir, "spans")}},
				"receivers": object{"otlp": object{"protocols": object{"grpc": object{"endpoint": spans}}}},
				"query":     object{"store": "local", "endpoint": "127.0.0.1:0"},
				"spans":     object{"exporters": array{"local"}, "flush_interval": "200ms", "sampling": object{"head": object{"ratio": 1}}},
			},
		},
		Mesh:       testbed.MeshConfig{Checks: checks, SpansTo: spans},
		Prometheus: testbed.PrometheusConfig{Features: "exemplar-storage", Rules: string(dashboards.Rules())},
		Admin:      true,
	})
	return p
}

// enforce changes the policy, as an author does who saves the file.
func (p *policed) enforce(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(p.policy+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.policy+".new", p.policy); err != nil {
		t.Fatal(err)
	}
}

// chosen is what a user has chosen at the top of the boards.
var chosen = map[string]string{
	"namespace": testbed.Namespace, "workload": ".*", "reporter": "destination",
	"service": ".*", "source": ".*", "destination": ".*",
	"job": "tallygate", "admin_job": "tallygate-admin", "quota": ".*", "trace_service": "frontend",
	"__rate_interval": "10s", "__range": "5m",
}

// with is chosen with some of it otherwise.
func with(changes ...string) map[string]string {
	out := maps.Clone(chosen)
	for i := 0; i < len(changes); i += 2 {
		out[changes[i]] = changes[i+1]
	}
	return out
}

func readDashboards(t *testing.T) (all []*lint.Dashboard) {
	t.Helper()
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
		all = append(all, d)
	}
	return all
}

// emptyWhenWell are queries of our boards that have nothing to show on this
// traffic, and why.
var emptyWhenWell = []struct{ query, why string }{
	{`"Does anything go into overflow?" B`, "a label is in the books only once it has been capped"},
}

// Every query of every board, also those of its variables, shows something on our
// traffic: from the raw series and from what the rules record.
func TestDashboards(t *testing.T) {
	w := startPoliced(t, denyDenied)
	type query struct{ where, expr string }
	var queries []query
	for _, d := range readDashboards(t) {
		all, err := d.Queries()
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range all {
			for _, recorded := range []string{"none", ".+"} {
				expr, err := lint.Interpolate(q.Expr, with("recorded", recorded))
				if err != nil {
					t.Fatalf("%s: %v", q.Where, err)
				}
				queries = append(queries, query{q.Where + ", recorded " + recorded, expr})
				if expr == q.Expr || !strings.Contains(q.Expr, "$recorded") {
					break
				}
			}
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go w.driver.Ask(ctx, 5, testbed.HostFrontend, "/denied/1")
	go w.askLimits(ctx, t)
	w.steady(t, 60, func() {
		empty := map[int]error{}
		for i := range queries {
			empty[i] = fmt.Errorf("not asked")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_ = testbed.Poll(ctx, 2*time.Second, func(ctx context.Context) error {
			for i := range empty {
				if empty[i] = w.hasValue(ctx, queries[i].expr); empty[i] == nil {
					delete(empty, i)
				}
			}
			if len(empty) > len(emptyWhenWell) {
				return fmt.Errorf("%d queries are empty", len(empty))
			}
			return nil
		})
		excused := 0
		for i, err := range empty {
			why := ""
			for _, e := range emptyWhenWell {
				if strings.Contains(queries[i].where, e.query) {
					why = e.why
				}
			}
			if why == "" {
				t.Errorf("%s: %v\n%s", queries[i].where, err, queries[i].expr)
				continue
			}
			excused++
		}
		t.Logf("%d of %d queries have values; %d are empty for a reason", len(queries)-len(empty), len(queries), excused)
	})
}

// askLimits asks the RateLimitService ten times a second, as an Envoy does.
func (p *policed) askLimits(ctx context.Context, t *testing.T) {
	conn, err := grpc.NewClient(p.limits, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	client := rlsv3.NewRateLimitServiceClient(conn)
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		for _, key := range []string{"user", "nobody"} {
			_, _ = client.ShouldRateLimit(ctx, &rlsv3.RateLimitRequest{Domain: "shop", Descriptors: []*ratelimitv3.RateLimitDescriptor{
				{Entries: []*ratelimitv3.RateLimitDescriptor_Entry{{Key: key, Value: "alice"}}},
			}})
		}
	}
}

// TestBreak: a healthy mesh in which one service breaks in one way after the
// other. Within seconds the alerts and the table of edges point at its edge, and
// at no other.
//
//	driver ─▶ [client] ─┬─▶ [frontend] ─▶ app
//	                    └─▶ [backend]  ─▶ app, which breaks
func TestBreak(t *testing.T) {
	w := startPoliced(t, allowAll)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for _, host := range []string{testbed.HostFrontend, testbed.HostBackend} {
		go w.driver.Ask(ctx, 10, host, "/status/200")
	}
	edges := `count(edge:istio_requests:rate5m{source_workload="client-v1", destination_workload=~"frontend-v1|backend-v1"} > 1)`
	Eventually(t, 60*time.Second, func(ctx context.Context) error {
		series, err := w.prometheus.Query(ctx, edges)
		if err == nil && (len(series) == 0 || series[0].Value() != 4) {
			err = fmt.Errorf("%v; want two edges, each by two reporters", series)
		}
		return err
	})
	if firing := w.firing(t); len(firing) > 0 {
		t.Fatalf("alerts on a healthy mesh: %v", firing)
	}
	f := func(alert, refID string, break_ func()) {
		t.Helper()
		break_()
		began := time.Now()
		Eventually(t, 15*time.Second, func(ctx context.Context) error { return w.pointsAtBackend(ctx, t, alert, refID) })
		t.Logf("%s and the table of edges pointed at the edge after %.1f s", alert, time.Since(began).Seconds())
		w.mesh.Backend.Break(testbed.Fault{})
		w.enforce(t, allowAll)
		for _, labels := range w.firing(t) {
			if labels["destination_workload"] != "backend-v1" {
				t.Errorf("an alert on another edge: %v", labels)
			}
		}
	}
	f("TallygateEdgeErrors", "B", func() { w.mesh.Backend.Break(testbed.Fault{Code: 500}) })
	f("TallygateEdgeDenied", "C", func() { w.enforce(t, denyBackend) })
	f("TallygateEdgeLatency", "D", func() { w.mesh.Backend.Break(testbed.Fault{Delay: 1200 * time.Millisecond}) })
}

func (p *policed) firing(t *testing.T) (all []map[string]string) {
	t.Helper()
	for _, s := range mustQuery(t, p.world, `ALERTS{alertstate="firing"}`) {
		all = append(all, s.Labels)
	}
	return all
}

// pointsAtBackend fails unless the alert fires on the edge to the backend, and a
// column of the overview's table of edges has that edge first.
func (p *policed) pointsAtBackend(ctx context.Context, t *testing.T, alert, refID string) error {
	t.Helper()
	series, err := p.prometheus.Query(ctx, fmt.Sprintf(`ALERTS{alertname=%q, alertstate="firing", source_workload="client-v1", destination_workload="backend-v1"}`, alert))
	if err != nil {
		return err
	}
	if len(series) == 0 {
		return fmt.Errorf("%s does not fire", alert)
	}
	for _, recorded := range []string{"none", ".+"} {
		expr, err := lint.Interpolate(edgeColumn(t, refID), with("recorded", recorded))
		if err != nil {
			return testbed.Permanent(err)
		}
		if series, err = p.prometheus.Query(ctx, "topk(1, "+expr+")"); err != nil {
			return err
		}
		if len(series) != 1 || series[0].Labels["destination_workload"] != "backend-v1" || series[0].Value() == 0 {
			return fmt.Errorf("the table of edges, recorded %s, has first %v", recorded, series)
		}
	}
	return nil
}

var edgeTable = regexp.MustCompile(`^Which edge fails`)

// edgeColumn is the expression of a column of the overview's table of edges.
func edgeColumn(t *testing.T, refID string) string {
	t.Helper()
	for _, d := range readDashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				if d.UID == "tallygate-mesh" && edgeTable.MatchString(p.Title) && target.RefID == refID {
					return target.Expr
				}
			}
		}
	}
	t.Fatalf("the overview has no column %s of edges", refID)
	return ""
}
