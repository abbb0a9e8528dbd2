package opa

import (
	"slices"
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

// hasPrefix reports whether p is at or below prefix.
func hasPrefix(p, prefix mesh.Path) bool {
	return len(p) >= len(prefix) && slices.Equal(p[:len(prefix)], prefix)
}

// join returns the path from p along rest, sharing memory with neither.
func join(p mesh.Path, rest ...string) mesh.Path {
	return append(slices.Clip(slices.Clone(p)), rest...)
}

// comparePaths orders paths by elements, a prefix first.
func comparePaths(a, b mesh.Path) int {
	return slices.CompareFunc(a, b, strings.Compare)
}
