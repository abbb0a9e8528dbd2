package component

import (
	"fmt"
	"path/filepath"
)

// nginx is the server alone, with auth_request; it needs a configuration that
// names every directory that it writes to.
var nginx = Component{
	Name:     "nginx",
	From:     "Debian: nginx and its regular expressions",
	Programs: []string{"nginx"},
	Check:    []string{"nginx", "-v"},
	recipe:   "debian",
	install: func(i *installation) error {
		root, err := i.unpackDebian("nginx", "libpcre2-8-0")
		if err != nil {
			return err
		}
		if err := i.moveInto("bin", filepath.Join(root, "usr/sbin/nginx")); err != nil {
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
