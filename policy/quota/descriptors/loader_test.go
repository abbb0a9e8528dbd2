package descriptors

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func limits(n string) string {
	return "domain: d\ndescriptors:\n- {key: a, rate_limit: {unit: second, requests_per_unit: " + n + "}}\n"
}

func TestLoaderFollowsFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "limits.yaml")
	write(t, file, limits("1"))
	write(t, filepath.Join(dir, ".hidden.yaml"), "not: read")
	write(t, filepath.Join(dir, "notes.txt"), "not read")
	cfg := DefaultConfig()
	cfg.Paths = []string{dir}
	var log bytes.Buffer
	l, err := NewLoader(cfg, prometheus.NewPedanticRegistry(), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	f := func(want string, success float64) {
		t.Helper()
		l.poll()
		l.poll() // the same again says nothing new
		if got := said(&ask(t, l, "d", "a=x")[0]); got != want {
			t.Errorf("got %s; want %s", got, want)
		}
		if got := testutil.ToFloat64(l.m.success); got != success {
			t.Errorf("success is %v; want %v", got, success)
		}
	}
	f("d.a 1/1s a=x", 1)
	write(t, file, limits("20"))
	f("d.a 20/1s a=x", 1)
	write(t, file, limits("twenty"))
	f("d.a 20/1s a=x", 0)
	if n := testutil.ToFloat64(l.m.reloads.WithLabelValues(resultFailure)); n != 1 {
		t.Errorf("%v failures; want 1", n)
	}
	if !strings.Contains(log.String(), "limits.yaml:3: requests_per_unit") {
		t.Errorf("the log does not say where: %s", log.String())
	}
	write(t, filepath.Join(dir, "other.yaml"), strings.Replace(limits("5"), "domain: d", "domain: e", 1))
	f("d.a 20/1s a=x", 0)
	write(t, file, limits("300"))
	f("d.a 300/1s a=x", 1)
	if l.Set().Domains() != 2 {
		t.Errorf("got %s; want two domains", l.Set())
	}
	os.Remove(file)
	os.Remove(filepath.Join(dir, "other.yaml"))
	f("d.a 300/1s a=x", 0) // an empty directory is a mistake, not the end of all limits

	write(t, file, limits("4"))
	cfg.Paths = []string{filepath.Join(dir, "nowhere.yaml")}
	if err := l.Reconfigure(cfg); err == nil {
		t.Error("a file that is not there is taken")
	}
	f("d.a 4/1s a=x", 1)
	cfg.Paths, cfg.PollInterval = nil, 0
	if err := l.Reconfigure(cfg); err == nil || !strings.Contains(err.Error(), "poll_interval") {
		t.Errorf("got %v", err)
	}
}

func TestLoaderNeedsFilesAtTheStart(t *testing.T) {
	dir := t.TempDir()
	f := func(want string, paths ...string) {
		t.Helper()
		cfg := Config{Paths: paths, PollInterval: time.Second}
		_, err := NewLoader(cfg, prometheus.NewPedanticRegistry(), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %s", err, want)
		}
	}
	f("there is no *.yaml in the directory", dir)
	f("no such file", filepath.Join(dir, "x.yaml"))
	f("paths[0]: is empty", "")
}
