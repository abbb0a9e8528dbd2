package descriptors

import (
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// BuiltinNone among paths stands for no limits.
const BuiltinNone = "builtin:none"

// maxFile is the largest file that is read.
const maxFile = 64 << 20

// expand returns the files at paths: of a directory those that end in .yaml or
// .yml, in order of their names. A path whose directory has none is an error: it
// would mean no limits.
func expand(paths []string) ([]string, error) {
	var files []string
	for _, p := range paths {
		if p == BuiltinNone {
			continue
		}
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("%w; paths names files and directories in envoyproxy/ratelimit's YAML", err)
		}
		if !info.IsDir() {
			files = append(files, p)
			continue
		}
		entries, err := os.ReadDir(p)
		if err != nil {
			return nil, err
		}
		found := false
		for _, e := range entries {
			name := e.Name()
			if strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".yaml") && !strings.HasSuffix(name, ".yml") {
				continue
			}
			files, found = append(files, filepath.Join(p, name)), true
		}
		if !found {
			return nil, fmt.Errorf("%s: there is no *.yaml in the directory", p)
		}
	}
	return files, nil
}

// Load reads and compiles the files at paths.
func Load(paths []string, merge bool) (*Set, error) {
	names, err := expand(paths)
	if err != nil {
		return nil, err
	}
	files := make([]File, 0, len(names))
	for _, name := range names {
		data, err := read(name)
		if err != nil {
			return nil, err
		}
		files = append(files, File{Name: name, Data: data})
	}
	return Compile(files, merge)
}

func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: is larger than %d MiB", name, maxFile>>20)
	}
	return data, err
}

// stamp tells, cheaply, one state of the files from another: names, sizes and
// times of change, through symbolic links.
func stamp(paths []string) uint64 {
	h := fnv.New64a()
	files, err := expand(paths)
	fmt.Fprintf(h, "%q %v\n", files, err)
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			fmt.Fprintf(h, "%v\n", err)
			continue
		}
		fmt.Fprintf(h, "%d %d %v\n", info.Size(), info.ModTime().UnixNano(), info.Mode())
	}
	return h.Sum64()
}
