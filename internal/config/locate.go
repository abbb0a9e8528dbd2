package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Locate says where a key is written, as file:line or --set; empty if it is not.
func (src Sources) Locate(path string) string {
	for _, set := range slices.Backward(src.Sets) {
		key, _, _ := strings.Cut(set, "=")
		if within(path, key) || within(key, path) {
			return "--set " + key
		}
	}
	for _, uri := range slices.Backward(src.URIs) {
		name := strings.TrimPrefix(uri, "file:")
		b, err := os.ReadFile(name)
		if err != nil {
			continue // of another kind, or it was said when it was read
		}
		var doc yaml.Node
		if yaml.Unmarshal(b, &doc) != nil || len(doc.Content) == 0 {
			continue
		}
		if line := lineOf(doc.Content[0], path); line > 0 {
			return fmt.Sprintf("%s:%d", name, line)
		}
	}
	return ""
}

// within reports whether path is key or below it.
func within(path, key string) bool {
	rest, ok := strings.CutPrefix(path, key)
	return ok && (rest == "" || rest[0] == '.')
}

// lineOf is the line of the key at path below n, or of the list or alias that
// stands where it would be; 0 if there is none.
func lineOf(n *yaml.Node, path string) int {
	if n.Kind != yaml.MappingNode {
		return n.Line
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Value == path {
			return key.Line
		}
		if within(path, key.Value) {
			if line := lineOf(n.Content[i+1], path[len(key.Value)+1:]); line > 0 {
				return line
			}
		}
	}
	return 0
}
