package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The committed files are what the definitions say.
func TestCommitted(t *testing.T) {
	fresh := t.TempDir()
	if err := run(fresh); err != nil {
		t.Fatal(err)
	}
	files := func(root string) map[string]string {
		out := map[string]string{}
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			rel, _ := filepath.Rel(root, path)
			out[rel] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want, got := files(fresh), files("../files")
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s differs: run go generate ./dashboards", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is not generated", name)
		}
	}
}
