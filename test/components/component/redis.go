package component

import (
	"fmt"
	"os"
	"path/filepath"
)

// redis is the server and the client out of redis-tools, with the libraries
// that a machine without Redis lacks. The server is redis-check-rdb under
// another name.
var redis = Component{
	Name:     "redis",
	From:     "Debian: redis-tools and its libraries",
	Programs: []string{"redis-server", "redis-cli"},
	Check:    []string{"redis-server", "--version"},
	recipe:   "debian",
	install: func(i *installation) error {
		root, err := i.unpackDebian("redis-tools", "libjemalloc2", "liblzf1", "libatomic1")
		if err != nil {
			return err
		}
		for _, program := range []string{"redis-check-rdb", "redis-cli"} {
			if err := i.moveInto("bin", filepath.Join(root, "usr/bin", program)); err != nil {
				return err
			}
		}
		if err := os.Symlink("redis-check-rdb", filepath.Join(i.dir, "bin", "redis-server")); err != nil {
			return err
		}
		libs, err := filepath.Glob(filepath.Join(root, "usr/lib/*/*.so*"))
		if err != nil || len(libs) == 0 {
			return fmt.Errorf("no libraries in the packages: %w", err)
		}
		for _, lib := range libs {
			if err := i.moveInto("lib", lib); err != nil {
				return err
			}
		}
		return nil
	},
}
