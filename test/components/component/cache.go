package component

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Variable is the environment variable that names another cache directory.
const Variable = "TALLYGATE_CACHE"

// Cache is a directory of installed components.
type Cache struct {
	Dir string

	mu  sync.Mutex
	log io.Writer
}

// Installed is a component in the cache.
type Installed struct {
	Component Component `json:"-"`
	Dir       string    `json:"-"`
	Version   string    `json:"version"` // as the program itself says
}

// Open returns the cache of the project that holds the working directory, or
// the one that [Variable] names. It makes nothing. Progress goes to log, one
// line per step.
func Open(log io.Writer) (*Cache, error) {
	if dir := os.Getenv(Variable); dir != "" {
		dir, err := filepath.Abs(dir)
		return &Cache{Dir: dir, log: log}, err
	}
	root, err := ProjectRoot()
	if err != nil {
		return nil, fmt.Errorf("finding the cache (set %s to say where it is): %w", Variable, err)
	}
	return &Cache{Dir: filepath.Join(root, ".cache", "components"), log: log}, nil
}

// ProjectRoot returns the nearest directory with a go.mod, upwards from the
// working directory.
func ProjectRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod in the working directory or above it")
		}
		dir = parent
	}
}

// Installed returns a component of the cache; the error of one that is missing
// says how to fetch it.
func (c *Cache) Installed(name string) (*Installed, error) {
	comp, err := lookup(name)
	if err != nil {
		return nil, err
	}
	return c.installed(comp)
}

func (c *Cache) installed(comp Component) (*Installed, error) {
	in := &Installed{Component: comp, Dir: filepath.Join(c.Dir, comp.Name+"-"+comp.recipe)}
	b, err := os.ReadFile(filepath.Join(in.Dir, manifest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("component %s is not in %s: go run ./test/components fetch %s", comp.Name, c.Dir, comp.Name)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, in); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(in.Dir, manifest), err)
	}
	return in, nil
}

// Path returns where a program lies, by its own name or its component's.
func (c *Cache) Path(program string) (string, error) {
	comp, err := lookupProgram(program)
	if err != nil {
		return "", err
	}
	in, err := c.installed(comp)
	if err != nil {
		return "", err
	}
	return in.Path(program), nil
}

// Path returns where a program of the component lies; a component without
// programs has only its directory.
func (in *Installed) Path(program string) string {
	if !slices.Contains(in.Component.Programs, program) {
		return in.Dir
	}
	return filepath.Join(in.Dir, "bin", program)
}

// Env returns what the environment of the component's programs needs beside
// the caller's own.
func (in *Installed) Env() []string {
	lib := filepath.Join(in.Dir, "lib")
	if _, err := os.Stat(lib); err != nil {
		return nil
	}
	return []string{"LD_LIBRARY_PATH=" + lib}
}

// Fetch installs the named components, those that are missing. "all" stands
// for every one.
func (c *Cache) Fetch(ctx context.Context, names ...string) error {
	if slices.Contains(names, "all") {
		names = names[:0:0]
		for _, comp := range all {
			names = append(names, comp.Name)
		}
	}
	wanted := make([]Component, len(names))
	for i, name := range names {
		var err error
		if wanted[i], err = lookup(name); err != nil {
			return err
		}
	}
	errs := make([]error, len(wanted))
	var g errgroup.Group
	g.SetLimit(3)
	for i, comp := range wanted {
		g.Go(func() error {
			if err := c.fetch(ctx, comp); err != nil {
				errs[i] = fmt.Errorf("fetching %s: %w", comp.Name, err)
			}
			return nil
		})
	}
	_ = g.Wait()
	return errors.Join(errs...)
}

func (c *Cache) fetch(ctx context.Context, comp Component) error {
	if in, err := c.installed(comp); err == nil {
		c.printf(comp, 0, "is here: %s", in.Version)
		return nil
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(c.Dir, "."+comp.Name+".lock"), func() {
		c.printf(comp, 0, "waiting for another fetch of it")
	})
	if err != nil {
		return err
	}
	defer unlock()
	if in, err := c.installed(comp); err == nil {
		c.printf(comp, 0, "was fetched meanwhile: %s", in.Version)
		return nil
	}
	i := &installation{Context: ctx, cache: c, comp: comp, start: time.Now(), dir: filepath.Join(c.Dir, comp.Name+".part")}
	return i.run(filepath.Join(c.Dir, comp.Name+"-"+comp.recipe))
}

func (c *Cache) printf(comp Component, elapsed time.Duration, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.log, "%6.1fs %-10s %s\n", elapsed.Seconds(), comp.Name, fmt.Sprintf(format, args...))
}
