package component

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fake is a component that needs no network: a shell script.
func fake(runs *atomic.Int32, fail error) Component {
	return Component{Name: "fake", Programs: []string{"fake"}, Check: []string{"fake"}, recipe: "1", install: func(i *installation) error {
		runs.Add(1)
		if err := os.WriteFile(filepath.Join(i.dir, "bin", "fake"), []byte("#!/bin/sh\necho fake version 1.2.3+ds, built by x\n"), 0o755); err != nil {
			return err
		}
		return fail
	}}
}

func newCache(t *testing.T) (*Cache, *bytes.Buffer) {
	var log bytes.Buffer
	return &Cache{Dir: t.TempDir(), log: &log}, &log
}

func TestFetchOnce(t *testing.T) {
	cache, log := newCache(t)
	var runs atomic.Int32
	comp := fake(&runs, nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := cache.fetch(context.Background(), comp); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := runs.Load(); n != 1 {
		t.Errorf("installed %d times; want once", n)
	}
	if in, err := cache.installed(comp); err != nil || in.Version != "1.2.3+ds" {
		t.Errorf("installed: %v, %v; want version 1.2.3+ds", in, err)
	}
	entries, err := os.ReadDir(filepath.Join(cache.Dir, "fake-1"))
	if err != nil || len(entries) != 2 {
		t.Fatalf("the component holds %v, %v; want bin and its manifest\n%s", entries, err, log)
	}
	if _, err := os.Stat(filepath.Join(cache.Dir, "fake.part")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the part directory is still there: %v", err)
	}
}

func TestFetchFailureLeavesNothing(t *testing.T) {
	cache, _ := newCache(t)
	var runs atomic.Int32
	broken := errors.New("broken download")
	if err := cache.fetch(context.Background(), fake(&runs, broken)); !errors.Is(err, broken) {
		t.Fatalf("fetch: %v; want %v", err, broken)
	}
	for _, left := range []string{"fake-1", "fake.part"} {
		if _, err := os.Stat(filepath.Join(cache.Dir, left)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there after a failed fetch: %v", left, err)
		}
	}
}

func TestMissing(t *testing.T) {
	cache, _ := newCache(t)
	_, err := cache.Path("promtool")
	if err == nil || !strings.Contains(err.Error(), "go run ./test/components fetch prometheus") {
		t.Errorf("Path of a missing component: %v; want the command that fetches it", err)
	}
	if _, err := cache.Path("nonsense"); err == nil || !strings.Contains(err.Error(), "there are envoy") {
		t.Errorf("Path of nonsense: %v; want the names that there are", err)
	}
	if err := need("no-such-tool-here", "apt-get install it"); err == nil || !strings.Contains(err.Error(), "apt-get install it") {
		t.Errorf("need: %v; want the fix", err)
	}
}

func TestVersion(t *testing.T) {
	f := func(out, want string) {
		t.Helper()
		if got := version.FindString(out); got != want {
			t.Errorf("version of %q = %q; want %q", out, got, want)
		}
	}
	f("envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL", "1.40.0")
	f("prometheus, version 2.42.0+ds (branch: debian/sid", "2.42.0+ds")
	f("Redis server v=7.0.15 sha=00000000:0", "7.0.15")
	f("nothing", "")
}
