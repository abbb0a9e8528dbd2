package quota

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
)

// once charges one quota.
func once(t testing.TB, l *Limiter, q mesh.Quota) mesh.QuotaResult {
	t.Helper()
	results := make([]mesh.QuotaResult, 1)
	l.Charge(t.Context(), []mesh.Quota{q}, results, mesh.ChargeAll)
	return results[0]
}

func restarted(t *testing.T, cfg Config, c *testClock) (*Limiter, string) {
	t.Helper()
	var log bytes.Buffer
	l, err := New(cfg, Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(&log, nil)), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return l, log.String()
}

func TestRestartIsNoAmnesty(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Local.SnapshotFile = filepath.Join(t.TempDir(), "quotas")
	l, c := newTestLimiter(t, cfg)
	slow := perSecond("slow", "a", 10)
	slow.Per = time.Hour
	window := slow
	window.Algorithm, window.Name = mesh.FixedWindow, "window"
	for _, q := range []*mesh.Quota{&slow, &window} {
		q.Cost = 8
		q.Identify(nil)
		once(t, l, *q)
	}
	for i := range 1000 {
		once(t, l, perSecond("many", fmt.Sprint(i), 5))
	}
	if err := l.save(); err != nil {
		t.Fatal(err)
	}
	l, log := restarted(t, cfg, c)
	if !strings.Contains(log, "Quotas restored") || !strings.Contains(log, "keys=1002") {
		t.Errorf("log %s", log)
	}
	for _, q := range []mesh.Quota{slow, window} {
		if r := once(t, l, q); !r.Over || r.Remaining != 2 {
			t.Errorf("%s after a restart: %+v; want 2 left", q.Name, r)
		}
	}
	if r := once(t, l, perSecond("many", "7", 5)); r.Remaining != 3 {
		t.Errorf("one of many after a restart: %+v; want 3 left", r)
	}
	if got, _ := l.Get("slow", "a"); len(got) != 1 || got[0].Charges != 1 || got[0].Remaining != 2 {
		t.Errorf("view after a restart: %+v", got)
	}
	c.t = c.t.Add(time.Minute)
	if _, log = restarted(t, cfg, c); !strings.Contains(log, "keys=2") {
		t.Errorf("a minute later: %s; want what is full again left out", log)
	}
	if left, _ := filepath.Glob(cfg.Local.SnapshotFile + "*"); len(left) != 1 {
		t.Errorf("files %v", left)
	}
}

func TestDamagedSnapshot(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Local.SnapshotFile = filepath.Join(t.TempDir(), "quotas")
	l, c := newTestLimiter(t, cfg)
	q := perSecond("q", "a", 1)
	once(t, l, q)
	if err := l.save(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(cfg.Local.SnapshotFile)
	if err != nil {
		t.Fatal(err)
	}
	f := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(cfg.Local.SnapshotFile, b, 0o600); err != nil {
			t.Fatal(err)
		}
		l, log := restarted(t, cfg, c)
		if !strings.Contains(log, "every key begins with a full quota") || !strings.Contains(log, "damaged or of another version") || l.snapshotErrors.Load() != 1 {
			t.Errorf("%s: log %s", what, log)
		}
		if r := once(t, l, q); r.Over {
			t.Errorf("%s: %+v; want a fresh start", what, r)
		}
	}
	f("empty", nil)
	f("truncated", good[:len(good)-1])
	f("of another version", bytes.Replace(good, []byte("snapshot 1"), []byte("snapshot 2"), 1))
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 0x10
		f(fmt.Sprint("bit flipped in byte ", i), b)
	}
}

// TestSnapshotInTheEnd: what was charged before a stop is there after it, and
// what was charged before a crash but for the last interval.
func TestSnapshotInTheEnd(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Local.SnapshotFile = filepath.Join(t.TempDir(), "quotas")
	synctest.Test(t, func(t *testing.T) {
		now := &testClock{time.Now()}
		l, _ := restarted(t, cfg, now)
		stop, done := running(t, l)
		hour := perSecond("q", "a", 10)
		hour.Per = time.Hour
		hour.Identify(nil)
		once(t, l, hour)
		time.Sleep(cfg.Local.SnapshotEvery + time.Second)
		synctest.Wait()
		crashed, _ := restarted(t, cfg, now)
		if r := once(t, crashed, hour); r.Remaining != 8 {
			t.Errorf("after a crash: %+v; want 8 left", r)
		}
		once(t, l, hour)
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		stopped, _ := restarted(t, cfg, now)
		if r := once(t, stopped, hour); r.Remaining != 7 {
			t.Errorf("after a stop: %+v; want 7 left", r)
		}
	})
}
