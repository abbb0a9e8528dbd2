package component

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// manifest is the file that makes a directory an installed component.
const manifest = "component.json"

// installation is one run of a component's recipe, in a directory of its own.
type installation struct {
	context.Context
	cache *Cache
	comp  Component
	start time.Time
	dir   string // bin/, lib/ and jars/ of it are the component; work/ is thrown away
}

func (i *installation) run(final string) error {
	if err := os.RemoveAll(i.dir); err != nil { // left by a run that was killed
		return err
	}
	defer os.RemoveAll(i.dir)
	for _, dir := range []string{i.work(), filepath.Join(i.dir, "bin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := i.comp.install(i); err != nil {
		return err
	}
	in := &Installed{Component: i.comp, Dir: i.dir, Version: i.comp.recipe}
	if check := i.comp.Check; check != nil {
		cmd := i.command(in.Path(check[0]), check[1:]...)
		cmd.Env = append(cmd.Env, in.Env()...)
		out, err := i.output(cmd)
		if err != nil {
			return fmt.Errorf("it was fetched but does not run: %w", err)
		}
		if v := version.Find(out); v != nil {
			in.Version = string(v)
		}
	}
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(i.dir, manifest), append(b, '\n'), 0o644); err != nil {
		return err
	}
	for _, dir := range []string{i.work(), final} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := os.Rename(i.dir, final); err != nil {
		return err
	}
	i.step("done: %s", in.Version)
	return nil
}

var version = regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+([-+~][-+~.0-9A-Za-z]*[0-9A-Za-z])?`)

// work is a directory for what the recipe needs only meanwhile.
func (i *installation) work() string { return filepath.Join(i.dir, "work") }

func (i *installation) step(format string, args ...any) {
	i.cache.printf(i.comp, time.Since(i.start), format, args...)
}

// command makes a command that runs in the work directory.
func (i *installation) command(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(i, program, args...)
	cmd.Dir = i.work()
	cmd.Env = os.Environ()
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// output runs cmd and returns what it printed; its error holds the end of that.
func (i *installation) output(cmd *exec.Cmd) ([]byte, error) {
	out, err := cmd.CombinedOutput()
	if err == nil {
		return out, nil
	}
	if i.Err() != nil {
		return out, i.Err()
	}
	tail := strings.TrimSpace(string(out))
	if len(tail) > 2000 {
		tail = "…" + tail[len(tail)-2000:]
	}
	return out, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, tail)
}

func (i *installation) exec(program string, args ...string) error {
	_, err := i.output(i.command(program, args...))
	return err
}

// need fails if a tool is not there, with the way to get it.
func need(tool, fix string) error {
	_, err := exec.LookPath(tool)
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s is missing: %s", tool, fix)
	}
	return err
}

// moveInto moves a file into a subdirectory of the component.
func (i *installation) moveInto(sub, file string) error {
	dir := filepath.Join(i.dir, sub)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Rename(file, filepath.Join(dir, filepath.Base(file)))
}
