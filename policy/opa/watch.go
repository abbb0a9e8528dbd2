package opa

import (
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// stamp tells, cheaply, one state of the files at paths from another: names,
// sizes and times of change, through symbolic links.
func stamp(paths []string) uint64 {
	h := fnv.New64a()
	note := func(p string, info fs.FileInfo, err error) {
		if err != nil {
			fmt.Fprintf(h, "%q %v\n", p, err)
			return
		}
		fmt.Fprintf(h, "%q %d %d %v\n", p, info.Size(), info.ModTime().UnixNano(), info.Mode())
	}
	var walk func(p string, depth int)
	walk = func(p string, depth int) {
		info, err := os.Stat(p)
		note(p, info, err)
		if err != nil || !info.IsDir() || depth > 32 {
			return
		}
		entries, err := os.ReadDir(p)
		if err != nil {
			note(p, nil, err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") || e.Name() == ".manifest" {
				walk(filepath.Join(p, e.Name()), depth+1)
			}
		}
	}
	for _, p := range paths {
		walk(p, 0)
	}
	return h.Sum64()
}
