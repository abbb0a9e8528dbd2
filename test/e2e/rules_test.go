//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
}
