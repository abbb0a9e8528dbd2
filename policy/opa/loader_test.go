package opa

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run starts a Loader and returns it with the generations it publishes.
func run(t *testing.T, cfg Config) (*Loader, chan *Generation) {
	t.Helper()
	out := make(chan *Generation, 100)
	cfg.PollInterval = 10 * time.Millisecond
	l, err := NewLoader(cfg, func(g *Generation) { out <- g }, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return l, out
}

func next(t *testing.T, c chan *Generation) *Generation {
	t.Helper()
	select {
	case g := <-c:
		return g
	case <-time.After(20 * time.Second):
		t.Fatal("no generation came")
		return nil
	}
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestLoaderWatches(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a", "p.rego")
	write(t, file, "package p\nallow if data.users[input.u]")
	write(t, filepath.Join(dir, "data.json"), `{"users": {"ann": true}}`)
	write(t, filepath.Join(dir, "a", "p_test.rego"), "this is not Rego")
	l, out := run(t, Config{Paths: []string{dir}, Entrypoint: "p/allow"})
	g := next(t, out)
	if !evaluate(t, g, `{"u": "ann"}`).Verdict.Allowed || evaluate(t, g, `{"u": "bob"}`).Verdict.Allowed {
		t.Error("the first generation judges wrongly")
	}

	write(t, filepath.Join(dir, "data.json"), `{"users": {"bob": true}}`)
	if g = next(t, out); !evaluate(t, g, `{"u": "bob"}`).Verdict.Allowed {
		t.Error("changed data is not in use")
	}

	write(t, file, "package p\nallow if {")
	wait(t, "refusal", func() bool { return l.Active().Err != nil })
	a := l.Active()
	if a.Generation != g || !strings.Contains(a.Err.Error(), file+":2") {
		t.Errorf("got %v", a.Err)
	}
	if n := testutil.ToFloat64(l.m.refusals.WithLabelValues(fromFiles)); n != 1 {
		t.Errorf("%v refusals were counted", n)
	}

	write(t, file, "package p\ndeny if true")
	wait(t, "missing entrypoint", func() bool { return strings.Contains(fmt.Sprint(l.Active().Err), "there are p/deny") })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	wait(t, "missing file", func() bool { return strings.Contains(fmt.Sprint(l.Active().Err), "no .rego file") })

	write(t, file, "package p\nallow if true")
	if next(t, out); l.Active().Err != nil {
		t.Errorf("got %v", l.Active().Err)
	}
}

// Kubernetes swaps a symbolic link to a directory.
func TestLoaderFollowsSwappedLinks(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "..1", "p.rego"), "package p\nallow if input.a == 1")
	write(t, filepath.Join(dir, "..2", "p.rego"), "package p\nallow if input.a == 2")
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link(filepath.Join("..data", "p.rego"), "p.rego")
	_, out := run(t, Config{Paths: []string{dir}, Entrypoint: "p/allow"})
	if g := next(t, out); len(g.Files) != 1 || !evaluate(t, g, `{"a": 1}`).Verdict.Allowed {
		t.Errorf("got %v", g.Files)
	}
	link("..2", "..tmp")
	if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if g := next(t, out); !evaluate(t, g, `{"a": 2}`).Verdict.Allowed {
		t.Error("the swapped files are not in use")
	}
}

func tarball(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBundleFile(t *testing.T) {
	p := filepath.Join(t.TempDir(), "b.tar.gz")
	write(t, p, string(tarball(t, map[string]string{
		"/.manifest":   `{"revision": "r7"}`,
		"/p.rego":      "package p\nallow if data.x.y == 1",
		"/x/data.json": `{"y": 1}`,
	})))
	g, err := Compile(context.Background(), &Config{Paths: []string{p}, Entrypoint: "p/allow"})
	if err != nil {
		t.Fatal(err)
	}
	if g.Revision != "r7" || !evaluate(t, g, "{}").Verdict.Allowed {
		t.Errorf("got revision %q", g.Revision)
	}
}

func TestLoaderBundlesOverHTTP(t *testing.T) {
	var body, etag atomic.Value
	serve := func(tag string, files map[string]string) {
		body.Store(tarball(t, files))
		etag.Store(tag)
	}
	serve(`"1"`, map[string]string{"/.manifest": `{"revision": "one"}`, "/p.rego": "package p\nallow if data.n == 1", "/data.json": `{"n": 1}`})
	var unchanged atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tag := etag.Load().(string)
		if tag == "broken" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if r.Header.Get("If-None-Match") == tag {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Etag", tag)
		_, _ = w.Write(body.Load().([]byte))
	}))
	defer srv.Close()
	conf := filepath.Join(t.TempDir(), "opa.yaml")
	write(t, conf, fmt.Sprintf(`
services: {s: {url: %q}}
bundles: {authz: {service: s, resource: /b.tar.gz, polling: {min_delay_seconds: 1, max_delay_seconds: 1}}}
`, srv.URL))
	l, out := run(t, Config{OPAConfig: conf, Entrypoint: "p/allow"})
	if !l.Active().Waiting {
		t.Error("not waiting for the bundle")
	}
	g := next(t, out)
	if g.Revision != "one" || !evaluate(t, g, "{}").Verdict.Allowed || l.Active().Waiting {
		t.Errorf("got %q, %+v", g.Revision, l.Active())
	}
	wait(t, "304", func() bool { return unchanged.Load() > 0 })

	etag.Store("broken")
	wait(t, "failure", func() bool { return strings.Contains(fmt.Sprint(l.Active().Err), "authz") })
	etag.Store(`"1"`)
	wait(t, "recovery", func() bool { return l.Active().Err == nil })
	if l.Active().Generation != g {
		t.Error("a failure changed what is in use")
	}

	serve(`"2"`, map[string]string{"/.manifest": `{"revision": "two"}`, "/p.rego": "package p\nallow if {"})
	wait(t, "refusal by OPA", func() bool { return strings.Contains(fmt.Sprint(l.Active().Err), "p.rego:2") })
	serve(`"3"`, map[string]string{"/.manifest": `{"revision": "three"}`, "/p.rego": `package p
allow if http.send({"url": "http://127.0.0.1/", "method": "GET"}).status_code == 200`})
	wait(t, "refusal by us", func() bool { return strings.Contains(fmt.Sprint(l.Active().Err), "http.send: it is forbidden") })
	if l.Active().Generation != g {
		t.Error("the last good generation did not stay")
	}
	serve(`"4"`, map[string]string{"/.manifest": `{"revision": "four"}`, "/p.rego": "package p\nallow if data.n == 4", "/data.json": `{"n": 4}`})
	if g = next(t, out); g.Revision != "four" || !evaluate(t, g, "{}").Verdict.Allowed || l.Active().Err != nil {
		t.Errorf("got %q, %v", g.Revision, l.Active().Err)
	}
}

func TestReloadUnderEvaluation(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.rego")
	policy := func(n int) string {
		return fmt.Sprintf("package p\nallow if { some x in data.list; x.n == input.n; %d == %d }", n, n)
	}
	write(t, file, policy(0))
	write(t, filepath.Join(dir, "data.json"), `{"list": [{"n": 1}, {"n": 2}]}`)
	var current atomic.Pointer[Generation]
	l, out := run(t, Config{Paths: []string{dir}, Entrypoint: "p/allow"})
	current.Store(next(t, out))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				res, err := current.Load().Evaluate(context.Background(), "", newRequest(t, `{"n": 2}`))
				if err != nil || !res.Verdict.Allowed {
					t.Errorf("got %+v, %v", res, err)
					return
				}
			}
		})
	}
	for n := 1; n < 10; n++ {
		write(t, file, policy(n))
		wait(t, "new generation", func() bool {
			select {
			case g := <-out:
				current.Store(g)
				return l.Active().Err == nil
			default:
				return false
			}
		})
	}
	cancel()
	wg.Wait()
}
