package component

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// jaegerVersion on the module proxy is the same commit as Jaeger v2.13.0.
const jaegerVersion = "v1.76.0"

// jaeger is built in a module of its own: its go.mod has a replace directive,
// which "go install" refuses. go.sum starts as Jaeger's own, which go has
// verified as part of the module.
var jaeger = Component{
	Name:     "jaeger",
	From:     "Go: github.com/jaegertracing/jaeger@" + jaegerVersion,
	Programs: []string{"jaeger"},
	Check:    []string{"jaeger", "version"},
	recipe:   jaegerVersion,
	install: func(i *installation) error {
		if err := need("go", "install Go from https://go.dev/dl"); err != nil {
			return err
		}
		files := map[string]string{
			"go.mod": "module jaegertool\n\ngo 1.25.0\n\nrequire github.com/jaegertracing/jaeger " + jaegerVersion +
				"\n\nreplace github.com/Shopify/sarama => github.com/Shopify/sarama v1.33.0\n",
			"tools.go": "//go:build tools\n\npackage tools\n\nimport _ \"github.com/jaegertracing/jaeger/cmd/jaeger\"\n",
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(i.work(), name), []byte(text), 0o644); err != nil {
				return err
			}
		}
		i.step("downloading the module")
		download := i.command("go", "mod", "download", "-json", "github.com/jaegertracing/jaeger@"+jaegerVersion)
		download.Env = append(download.Env, "GOWORK=off", "GOFLAGS=-mod=mod")
		out, err := i.output(download)
		if err != nil {
			return err
		}
		var module struct{ Dir string }
		if err := json.Unmarshal(out, &module); err != nil {
			return fmt.Errorf("reading what go mod download printed: %w", err)
		}
		sum, err := os.ReadFile(filepath.Join(module.Dir, "go.sum"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(i.work(), "go.sum"), sum, 0o644); err != nil {
			return err
		}
		i.step("building (about four minutes of one core)")
		build := i.command("go", "build", "-trimpath", "-ldflags", "-s -w",
			"-o", filepath.Join(i.dir, "bin", "jaeger"), "github.com/jaegertracing/jaeger/cmd/jaeger")
		build.Env = append(build.Env, "GOWORK=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
		_, err = i.output(build)
		return err
	},
}
