package component

import "path/filepath"

var prometheus = Component{
	Name:     "prometheus",
	From:     "Debian: prometheus",
	Programs: []string{"prometheus", "promtool"},
	Check:    []string{"prometheus", "--version"},
	recipe:   "debian",
	install: func(i *installation) error {
		root, err := i.unpackDebian("prometheus")
		if err != nil {
			return err
		}
		for _, program := range i.comp.Programs {
			if err := i.moveInto("bin", filepath.Join(root, "usr/bin", program)); err != nil {
				return err
			}
		}
		return nil
	},
}
