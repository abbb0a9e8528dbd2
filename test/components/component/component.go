package component

import (
	"fmt"
	"slices"
	"strings"
)

// Component is a real program, or several that come together.
type Component struct {
	Name     string
	From     string   // where it comes from, for people
	Programs []string // files in bin/ of the installed component
	Check    []string // a program and arguments that print the version

	// recipe names this way of installing; a change makes the cache fetch anew.
	recipe  string
	install func(*installation) error
}

var all = []Component{envoy, prometheus, redis, nginx, cassandra, jaeger, chromium, ratelimit}

// All returns every component there is.
func All() []Component { return slices.Clone(all) }

func lookup(name string) (Component, error) {
	names := make([]string, 0, len(all))
	for _, c := range all {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return Component{}, fmt.Errorf("no component %q; there are %s", name, strings.Join(names, ", "))
}

func lookupProgram(program string) (Component, error) {
	for _, c := range all {
		if slices.Contains(c.Programs, program) {
			return c, nil
		}
	}
	return lookup(program)
}
