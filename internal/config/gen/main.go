// Gen writes what is made from the configuration types and their comments:
// the JSON Schema and the reference in docs.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tallygate/tallygate/internal/config"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run() error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	files, err := generate(root)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(root, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the files by their path below root.
func generate(root string) (map[string][]byte, error) {
	comments, err := readComments(root)
	if err != nil {
		return nil, fmt.Errorf("reading the comments: %w", err)
	}
	schema, err := config.GenerateSchema(comments)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"internal/config/schema.json": schema,
		"docs/configuration.md":       []byte(config.GenerateReference(comments)),
	}, nil
}
