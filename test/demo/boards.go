package main

import (
	"embed"
	"os"
	"path/filepath"

	"github.com/tallygate/tallygate/dashboards"
	"github.com/tallygate/tallygate/test/testbed"
)

//go:embed policy.rego candidate.rego
var policies embed.FS

// policed is a configuration with the demo's policy and one on trial, which
// answers at an address.
func policed(dir, checks string) (testbed.TallygateConfig, error) {
	paths := map[string]string{}
	for _, name := range []string{"policy.rego", "candidate.rego"} {
		text, err := policies.ReadFile(name)
		if err != nil {
			return testbed.TallygateConfig{}, err
		}
		paths[name] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[name], text, 0o644); err != nil {
			return testbed.TallygateConfig{}, err
		}
	}
	return testbed.TallygateConfig{More: map[string]any{
		"policy": map[string]any{
			"paths":  []any{paths["policy.rego"]},
			"shadow": map[string]any{"share": 1, "paths": []any{paths["candidate.rego"]}},
		},
		"ingest":    map[string]any{"extauthz": map[string]any{"endpoint": checks}},
		"exporters": map[string]any{"local": map[string]any{"directory": filepath.Join(dir, "spans")}},
		"spans":     map[string]any{"exporters": []any{"local"}, "sampling": map[string]any{"head": map[string]any{"ratio": 0.1}}},
	}}, nil
}

// exportBoards writes the boards where Grafana can load them.
func exportBoards(dir, prometheus string) (string, error) {
	dir = filepath.Join(dir, "grafana")
	_, err := (&dashboards.Export{Dir: dir, Prometheus: prometheus}).Write()
	return dir, err
}
