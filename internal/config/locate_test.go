package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first := write("first.yaml", "log:\n  level: info\nquota:\n  source: redis\n  redis: {addresses: ['a:1'],\n    db: 1}\n")
	second := write("second.yaml", "# a comment\nlog: {format: json}\nquota: {source: local}\n")
	src := Sources{URIs: []string{first, "file:" + second, "yaml:drain: {timeout: 1s}", "env:NONE"}, Sets: []string{"ingest.als.endpoint=127.0.0.1:1", "admin={token: x}"}}
	f := func(path, want string) {
		t.Helper()
		if got := src.Locate(path); got != want {
			t.Errorf("%s is at %q; want %q", path, got, want)
		}
	}
	f("quota.source", second+":3") // the last one counts
	f("quota.redis.addresses", first+":5")
	f("quota.redis.db", first+":6")
	f("quota.redis", first+":5")
	f("log.level", first+":2")
	f("ingest.als.endpoint", "--set ingest.als.endpoint")
	f("ingest.als.tls", "")
	f("admin.token", "--set admin")
	f("drain.timeout", "")
	f("quota.redis.mode", "")
	f("quot", "")
}
