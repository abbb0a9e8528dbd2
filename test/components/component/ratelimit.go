package component

import (
	"path/filepath"
)

// ratelimitVersion is of its main branch: it has no newer tag that is a Go
// version.
const ratelimitVersion = "v1.4.1-0.20260122083618-3fb702589d36"

// ratelimit is what benchmarks compare rate limits with. Its main package is
// called service_cmd.
var ratelimit = Component{
	Name:     "ratelimit",
	From:     "Go: github.com/envoyproxy/ratelimit@" + ratelimitVersion,
	Programs: []string{"ratelimit"},
	recipe:   ratelimitVersion,
	install: func(i *installation) error {
		if err := need("go", "install Go from https://go.dev/dl"); err != nil {
			return err
		}
		const module = "github.com/envoyproxy/ratelimit"
		for _, args := range [][]string{
			{"mod", "init", "ratelimittool"},
			{"get", module + "/src/service_cmd@" + ratelimitVersion},
			{"build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(i.dir, "bin", "ratelimit"), module + "/src/service_cmd"},
		} {
			i.step("go %s", args[0])
			cmd := i.command("go", args...)
			cmd.Env = append(cmd.Env, "GOWORK=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
			if _, err := i.output(cmd); err != nil {
				return err
			}
		}
		return nil
	},
}
