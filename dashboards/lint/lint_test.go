package lint

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/dashboards"
)

func boards(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	files := dashboards.Boards()
	names, err := fs.Glob(files, "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if out[name], err = fs.ReadFile(files, name); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestBoards(t *testing.T) {
	all := boards(t)
	for _, want := range []string{"mesh", "service", "workload", "edge", "policy", "self"} {
		if all["tallygate-"+want+".json"] == nil {
			t.Errorf("no board %s", want)
		}
	}
	uids := map[string]string{}
	for file, text := range all {
		d, err := Parse(file, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range Check(d) {
			t.Error(p)
		}
		uids["/d/"+d.UID+"?"] = file
	}
	// Links lead somewhere.
	for file, text := range all {
		for _, part := range strings.Split(string(text), `"/d/`)[1:] {
			if path, _, _ := strings.Cut(part, "?"); uids["/d/"+path+"?"] == "" {
				t.Errorf("%s: link to /d/%s, which is no board", file, path)
			}
		}
	}
}

// Each rule finds what it is for: a good board is spoilt in one way after the
// other.
func TestRules(t *testing.T) {
	good := boards(t)["tallygate-service.json"]
	found := map[string]bool{}
	f := func(rule, want string, spoil func(d map[string]any)) {
		t.Helper()
		var tree map[string]any
		if err := json.Unmarshal(good, &tree); err != nil {
			t.Fatal(err)
		}
		spoil(tree)
		text, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse("tallygate-service.json", text)
		if err != nil {
			t.Fatal(err)
		}
		problems := Check(d)
		if !slices.ContainsFunc(problems, func(p string) bool {
			return strings.Contains(p, ": "+rule+": ") && strings.Contains(p, want)
		}) {
			t.Errorf("%s: %q is not among\n%s", rule, want, strings.Join(problems, "\n"))
		}
		found[rule] = true
	}
	panel := func(d map[string]any, kind string) map[string]any {
		for _, p := range d["panels"].([]any) {
			if p := p.(map[string]any); p["type"] == kind {
				return p
			}
		}
		t.Fatalf("no panel %s", kind)
		return nil
	}
	target := func(d map[string]any, kind string) map[string]any {
		return panel(d, kind)["targets"].([]any)[0].(map[string]any)
	}
	at := func(d map[string]any, path ...string) map[string]any {
		for _, name := range path {
			d = d[name].(map[string]any)
		}
		return d
	}
	variable := func(d map[string]any, i int) map[string]any {
		return at(d, "templating")["list"].([]any)[i].(map[string]any)
	}
	f("board", "want the name of the file", func(d map[string]any) { d["uid"] = "other" })
	f("board", "no links", func(d map[string]any) { d["links"].([]any)[0].(map[string]any)["keepTime"] = false })
	f("variables", "no variable namespace", func(d map[string]any) { variable(d, 1)["name"] = "ns" })
	f("variables", "two variables", func(d map[string]any) { variable(d, 2)["name"] = "namespace" })
	f("variables", "not asked for again", func(d map[string]any) { variable(d, 1)["refresh"] = 1 })
	f("variables", "neither label_values", func(d map[string]any) { variable(d, 1)["query"] = "metrics(.*)" })
	f("variables", "All is", func(d map[string]any) { variable(d, 1)["allValue"] = "" })
	f("datasource", "want that of a variable", func(d map[string]any) { at(target(d, "stat"), "datasource")["uid"] = "P123" })
	f("links", "kept", func(d map[string]any) {
		at(panel(d, "stat"), "fieldConfig", "defaults")["links"] = []any{map[string]any{"title": "x", "url": "/d/y"}}
	})
	f("links", "which the table has not", func(d map[string]any) {
		at(panel(d, "stat"), "fieldConfig", "defaults")["links"] = []any{map[string]any{"title": "x", "url": "/d/y?var-a=${__data.fields.Nope}"}}
	})
	f("ids", "has the id 2", func(d map[string]any) { panel(d, "timeseries")["id"] = 2 })
	f("grid", "overlap", func(d map[string]any) { at(panel(d, "timeseries"), "gridPos")["y"] = 1 })
	f("grid", "24 wide", func(d map[string]any) { at(panel(d, "timeseries"), "gridPos")["w"] = 25 })
	f("title", "want a question", func(d map[string]any) { panel(d, "stat")["title"] = "Requests" })
	f("title", "two panels", func(d map[string]any) { panel(d, "timeseries")["title"] = panel(d, "stat")["title"] })
	f("description", "what to do", func(d map[string]any) { panel(d, "stat")["description"] = "" })
	f("description", "when it is red", func(d map[string]any) {
		at(panel(d, "stat"), "fieldConfig", "defaults")["thresholds"] = map[string]any{"steps": []any{map[string]any{"color": "red"}}}
	})
	f("unit", `unit ""`, func(d map[string]any) { at(panel(d, "stat"), "fieldConfig", "defaults")["unit"] = "" })
	f("unit", `unit "furlongs"`, func(d map[string]any) {
		at(panel(d, "table"), "fieldConfig")["overrides"] = []any{map[string]any{"matcher": map[string]any{"options": "p99"}, "properties": []any{map[string]any{"id": "unit", "value": "furlongs"}}}}
	})
	f("legend", "has no legend", func(d map[string]any) { target(d, "timeseries")["legendFormat"] = "" })
	f("targets", "has no query", func(d map[string]any) { panel(d, "stat")["targets"] = []any{} })
	f("targets", "instant in tables only", func(d map[string]any) { target(d, "table")["instant"] = false })
	f("expression", "parse error", func(d map[string]any) { target(d, "stat")["expr"] = "sum(" })
	f("expression", "no variable nope", func(d map[string]any) { target(d, "stat")["expr"] = `a{b="$nope"}` })
	f("expression", "read its rate", func(d map[string]any) { target(d, "stat")["expr"] = "sum(a_total)" })
	f("expression", "is no counter", func(d map[string]any) { target(d, "stat")["expr"] = "rate(a_bytes[$__rate_interval])" })
	f("interval", "want [$__rate_interval]", func(d map[string]any) { target(d, "stat")["expr"] = "rate(a_total[5m])" })
	f("jobs", "not of a job", func(d map[string]any) { target(d, "stat")["expr"] = "tallygate_als_streams" })
	for _, r := range Rules {
		if !found[r.Name] {
			t.Errorf("no board here breaks the rule %s", r.Name)
		}
	}
}

func TestKnown(t *testing.T) {
	k := Known{}
	k.Add("requests_total", "code", "200")
	k.Add("requests_total", "source", "a")
	k.Add("seconds_bucket", "le", "1")
	k.Add("tallygate_checks_total", "outcome", "allow")
	record, err := ParseExpr("sum by (source) (rate(requests_total[1m]))")
	if err != nil {
		t.Fatal(err)
	}
	k.AddRule("r:rate", record)
	f := func(expr string, want ...string) {
		t.Helper()
		e, err := ParseExpr(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.Check(e); !slices.Equal(got, want) {
			t.Errorf("%s: %q; want %q", expr, got, want)
		}
	}
	f(`sum by (source, job) (rate(requests_total{code="500"}[5m]))`)
	f(`nope + requests_total`, `there is no metric "nope"`)
	f(`requests_total{cod="200"}`, `requests_total has no label "cod"`)
	f(`sum by (cod) (requests_total)`, `requests_total has no label "cod"`)
	f(`sum by (code) (r:rate{source="a"})`, `r:rate{source="a"} has no label "code"`)
	f(`histogram_quantile(0.5, sum by (le) (rate(seconds_bucket[5m])))`)
	f(`sum by (le) (histogram_quantile(0.5, seconds_bucket))`, `histogram_quantile(0.5, seconds_bucket) has no label "le"`)
	f(`sum by (w) (label_replace(requests_total, "w", "$1", "source", "(.+)"))`)
	f(`requests_total and on (source, x) r:rate`, `requests_total has no label "x"`, `r:rate has no label "x"`)
	f(`tallygate_checks_total{outcome="alow"}`, `tallygate_checks_total has no outcome="alow"`)
	f(`tallygate_checks_total{outcome=~"allow|deny"}`, `tallygate_checks_total has no outcome="deny"`)
	f(`topk(3, 1 - (0 * requests_total) or absent(requests_total))`)
}
