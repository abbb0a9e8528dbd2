// Gen writes the boards and rules as files, from their definitions.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tallygate/tallygate/dashboards"
	"github.com/tallygate/tallygate/dashboards/boards"
	"github.com/tallygate/tallygate/dashboards/rules"
)

func main() {
	if err := run("files"); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run replaces what is in dir, so that a board that is gone leaves no file.
func run(dir string) error {
	files := map[string][]byte{dashboards.RulesFile: []byte(rules.YAML())}
	for _, b := range boards.All() {
		text, err := b.JSON()
		if err != nil {
			return fmt.Errorf("%s: %w", b.UID, err)
		}
		files[filepath.Join("boards", b.UID+".json")] = text
	}
	if err := os.RemoveAll(filepath.Join(dir, "boards")); err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
