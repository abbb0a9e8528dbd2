package dashboards

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestExport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "grafana")
	e := Export{Dir: dir, Prometheus: "http://prometheus:9090", Jaeger: "https://jaeger:16686", Path: "/etc/tallygate"}
	for range 2 { // the second time over the first
		files, err := e.Write()
		if err != nil {
			t.Fatal(err)
		}
		boards := 0
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			switch filepath.Ext(f) {
			case ".json":
				boards++
				if !json.Valid(text) {
					t.Errorf("%s is no JSON", f)
				}
			case ".yaml":
				if err := yaml.Unmarshal(text, &map[string]any{}); err != nil {
					t.Errorf("%s: %v", f, err)
				}
			}
		}
		if boards < 6 || len(files) != boards+3 {
			t.Errorf("written: %v", files)
		}
	}
	f := func(name string, path ...string) any {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := yaml.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		for _, p := range path {
			if list, ok := v.([]any); ok {
				v = list[p[0]-'0']
				continue
			}
			v = v.(map[string]any)[p]
		}
		return v
	}
	if got := f("provisioning/dashboards/tallygate.yaml", "providers", "0", "options", "path"); got != "/etc/tallygate/boards" {
		t.Errorf("path of the boards: %v", got)
	}
	if got := f("provisioning/datasources/tallygate.yaml", "datasources", "0", "jsonData", "exemplarTraceIdDestinations", "0", "datasourceUid"); got != f("provisioning/datasources/tallygate.yaml", "datasources", "1", "uid") {
		t.Errorf("exemplars lead to %v, which is not the data source of Jaeger", got)
	}
	if got := f("provisioning/datasources/tallygate.yaml", "datasources", "1", "url"); got != "https://jaeger:16686" {
		t.Errorf("URL of Jaeger: %v", got)
	}
}

func TestExportElsewhere(t *testing.T) {
	dir := t.TempDir()
	e := Export{Dir: dir}
	if _, err := e.Write(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "provisioning", "datasources")); !os.IsNotExist(err) {
		t.Errorf("data sources without a URL: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "provisioning", "dashboards", "tallygate.yaml"))
	if err != nil || !strings.Contains(string(text), filepath.ToSlash(dir)+"/boards") {
		t.Errorf("%s, %v; want the directory itself", text, err)
	}
	f := func(e Export, want string) {
		t.Helper()
		if err := e.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %q", e, err, want)
		}
	}
	f(Export{}, "--dir: say where to write")
	f(Export{Dir: "x", Prometheus: "prometheus:9090"}, `--prometheus: "prometheus:9090" is not a URL`)
	f(Export{Dir: "x", Jaeger: "ftp://x"}, "--jaeger: ")
	f(Export{Dir: "x", Path: "relative"}, `--path: "relative" is not an absolute path`)
	if _, err := (&Export{Dir: filepath.Join(dir, "boards", "tallygate-mesh.json")}).Write(); err == nil {
		t.Error("no error where a file is in the way")
	}
}
