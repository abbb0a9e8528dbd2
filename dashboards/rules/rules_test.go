package rules

import (
	"os"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// The file is what the definitions say, whatever stands in the texts.
func TestYAML(t *testing.T) {
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Record, Alert, Expr, For string
				Labels, Annotations      map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(YAML()), &file); err != nil {
		t.Fatal(err)
	}
	groups := All()
	if len(file.Groups) != len(groups) {
		t.Fatalf("%d groups; want %d", len(file.Groups), len(groups))
	}
	for i, g := range groups {
		for j, want := range g.Rules {
			got := file.Groups[i].Rules[j]
			if got.Record != want.Record || got.Alert != want.Alert || got.Expr != want.Expr.String() || got.For != want.For {
				t.Errorf("%+v; want %+v", got, want)
			}
			if _, err := parser.NewParser(parser.Options{}).ParseExpr(got.Expr); err != nil {
				t.Errorf("%s%s: %v", got.Record, got.Alert, err)
			}
			if want.Alert == "" {
				continue
			}
			if got.Labels["severity"] != string(want.Severity) || got.Annotations["summary"] != want.Summary || got.Annotations["description"] != want.Description {
				t.Errorf("%+v; want %+v", got, want)
			}
		}
	}
}

// Every alert says how soon, what, and has a page in the runbook and a case for
// promtool.
func TestAlerts(t *testing.T) {
	runbook, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := os.ReadFile("testdata/alerts.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, g := range All() {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			if seen[r.Alert] {
				t.Errorf("two alerts %s", r.Alert)
			}
			seen[r.Alert] = true
			if !strings.HasPrefix(r.Alert, "Tallygate") || r.Severity != Page && r.Severity != Ticket || r.Summary == "" || r.Description == "" {
				t.Errorf("%+v lacks something", r)
			}
			if !strings.Contains(string(runbook), "\n## "+r.Alert+"\n") {
				t.Errorf("docs/runbook.md has no heading %s", r.Alert)
			}
			if !strings.Contains(string(cases), r.Alert+`"`) {
				t.Errorf("testdata/alerts.test.yaml has no case in which %s fires", r.Alert)
			}
		}
	}
	for line := range strings.Lines(string(runbook)) {
		if name, ok := strings.CutPrefix(line, "## "); ok && !seen[strings.TrimSpace(name)] {
			t.Errorf("docs/runbook.md is about %s, which is no alert", strings.TrimSpace(name))
		}
	}
}
