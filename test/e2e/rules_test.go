//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/dashboards"
	"github.com/tallygate/tallygate/test/components/component"
)

// Prometheus' own tool takes the rules, and their cases hold.
func TestRules(t *testing.T) {
	root, err := component.ProjectRoot()
	if err != nil {
		t.Fatal(err)
	}
	promtool, err := Bed(t).Cache.Path("promtool")
	if err != nil {
		t.Fatal(err)
	}
	f := func(want string, args ...string) {
		t.Helper()
		cmd := exec.Command(promtool, args...)
		cmd.Dir = filepath.Join(root, "dashboards")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("promtool %s: %v; want %q\n%s", strings.Join(args, " "), err, want, out)
		}
	}
	f("SUCCESS: ", "check", "rules", "files/tallygate.rules.yaml")
	f("SUCCESS", "test", "rules", "rules/testdata/alerts.test.yaml")

	// The example finds what is exported beside it.
	dir := t.TempDir()
	if _, err := (&dashboards.Export{Dir: filepath.Join(dir, "grafana")}).Write(); err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join(root, "examples", "prometheus", "prometheus.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yaml"), example, 0o644); err != nil {
		t.Fatal(err)
	}
	f("1 rule files found", "check", "config", filepath.Join(dir, "prometheus.yaml"))
}
