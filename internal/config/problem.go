package config

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	Path    string // key path: ingest.als.endpoint; empty for the whole
	Message string
}

func (p Problem) String() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// Problems is an error that holds everything wrong with a configuration, in the
// order of the paths.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// err returns nil if there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	ps.sort()
	return slices.Compact(ps)
}

func (ps Problems) sort() {
	slices.SortFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
}

func (ps *Problems) add(path, format string, args ...any) {
	*ps = append(*ps, Problem{path, fmt.Sprintf(format, args...)})
}

// keyed matches messages that begin with a key path: "endpoint: …",
// "families.istio_requests_total.exclude[2]: …".
var keyed = regexp.MustCompile(`^((?:[a-z0-9_]+|\[\d+\])(?:(?:::|\.|\[)[^\s:]+)*): (?s)(.*)$`)

// addError takes an error of a section's Validate apart: joined errors become
// one problem each, and a key path at the beginning of a message continues that
// of the section.
func (ps *Problems) addError(path string, err error) {
	if err == nil {
		return
	}
	if all, ok := errors.AsType[Problems](err); ok {
		for _, p := range all {
			*ps = append(*ps, Problem{join(path, p.Path), p.Message})
		}
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			ps.addError(path, e)
		}
		return
	}
	if m := keyed.FindStringSubmatch(err.Error()); m != nil {
		ps.add(join(path, strings.ReplaceAll(m[1], "::", ".")), "%s", m[2])
		return
	}
	ps.add(path, "%s", err)
}

func join(path, key string) string {
	if path == "" || key == "" || key[0] == '[' {
		return path + key
	}
	return path + "." + key
}
