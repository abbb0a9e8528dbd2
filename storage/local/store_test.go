package local

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
	"github.com/tallygate/tallygate/storage/storagetest"
)

// engineFails is set for the process in which the engine fails: what it leaves
// behind stands still on purpose.
const engineFails = "TALLYGATE_TEST_ENGINE_FAILS"

func TestMain(m *testing.M) {
	if os.Getenv(engineFails) != "" {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

var discard = slog.New(slog.DiscardHandler)

func testLimits() Limits { return Limits{TTL: time.Hour, MaxBytes: 1 << 30} }

func openMem(t *testing.T, fs vfs.FS, now func() time.Time) *Store {
	t.Helper()
	s, err := open("spans", testLimits(), fs, now, time.Hour, discard) // tests expire by themselves
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Store) writeTraces(ctx context.Context, td ptrace.Traces) error {
	return s.Write(ctx, jaegermodel.FromTraces(td))
}

func TestBattery(t *testing.T) {
	s := openMem(t, vfs.NewMem(), time.Now)
	t.Run("waiting", func(t *testing.T) {
		storagetest.Run(t, storagetest.Backend{Write: s.writeTraces, Reader: s})
	})
	t.Run("sealed", func(t *testing.T) {
		storagetest.Run(t, storagetest.Backend{Reader: s, Write: func(ctx context.Context, td ptrace.Traces) error {
			if err := s.writeTraces(ctx, td); err != nil {
				return err
			}
			return s.sealNow()
		}})
	})
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// sealNow seals what waits, while no test writes.
func (s *Store) sealNow() error { return s.guard(func() error { return s.seal(true) }) }

func oneSpan(id byte) []*jaegermodel.Span {
	return []*jaegermodel.Span{{
		TraceID: jaegermodel.TraceID{0: 1, 15: id}, SpanID: 1, Operation: "op", Start: time.Now().UnixMicro(), Duration: 1,
		Process: &jaegermodel.Process{Service: "svc"},
	}}
}

// TestCrash: what Write acknowledged is there after a crash, sealed or not, and
// blocks are whole.
func TestCrash(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := openMem(t, mem, time.Now)
	for i := range byte(100) {
		if err := s.Write(t.Context(), oneSpan(i)); err != nil {
			t.Fatal(err)
		}
		if i == 50 {
			if err := s.sealNow(); err != nil {
				t.Fatal(err)
			}
		}
	}
	crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0})
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // recovering changes nothing
		s = openMem(t, crashed, time.Now)
		found, err := s.FindTraces(t.Context(), storage.Query{Service: "svc", Start: time.Now().Add(-time.Hour), End: time.Now(), Limit: 1000})
		if err != nil || len(found) != 100 {
			t.Errorf("%d traces after the crash, %v; want 100", len(found), err)
		}
		for i := range byte(100) {
			if _, err := s.Trace(t.Context(), jaegermodel.TraceID{0: 1, 15: i}); err != nil {
				t.Errorf("trace %d: %v", i, err)
			}
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExpire: partitions go by age and by size, and what waits goes with them.
func TestExpire(t *testing.T) {
	now := time.Now()
	s := openMem(t, vfs.NewMem(), func() time.Time { return now })
	count := func() int {
		t.Helper()
		found, err := s.FindTraces(t.Context(), storage.Query{Service: "svc", Start: now.Add(-100 * time.Hour), End: now.Add(time.Hour), Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	for i := range byte(20) { // one in 6 minutes
		if err := s.Write(t.Context(), oneSpan(i)); err != nil {
			t.Fatal(err)
		}
		now = now.Add(6 * time.Minute)
	}
	if n := count(); n != 20 {
		t.Fatalf("%d traces; want 20", n)
	}
	if err := s.expire(); err != nil {
		t.Fatal(err)
	}
	if n := count(); n < 10 || n > 11 {
		t.Errorf("%d traces are younger than an hour; want 10 or 11", n)
	}
	if _, err := s.Trace(t.Context(), jaegermodel.TraceID{0: 1, 15: 1}); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("an expired trace: %v", err)
	}
	if names, err := s.Services(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("services %v, %v", names, err)
	}
	now = now.Add(3 * time.Hour)
	if err := s.sealNow(); err != nil {
		t.Fatal(err)
	}
	if err := s.expire(); err != nil {
		t.Fatal(err)
	}
	if names, _ := s.Services(t.Context()); len(names) != 0 || count() != 0 {
		t.Errorf("%v and %d traces are left of a store that nobody wrote to for hours", names, count())
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

func TestExpireBySize(t *testing.T) {
	now := time.Now()
	s := openMem(t, vfs.NewMem(), func() time.Time { return now })
	s.SetLimits(Limits{TTL: 1000 * time.Hour, MaxBytes: 256 << 10})
	for i := range 20 {
		spans := make([]*jaegermodel.Span, 0, blockSpans)
		for n := range blockSpans {
			sp := *oneSpan(byte(n))[0]
			sp.TraceID[1], sp.TraceID[2], sp.TraceID[14] = byte(i), byte(n*7), byte(n>>8)
			spans = append(spans, &sp)
		}
		if err := s.Write(t.Context(), spans); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	before := len(s.partitions)
	if err := s.expire(); err != nil {
		t.Fatal(err)
	}
	size, err := s.size()
	if err != nil || size > 256<<10 && len(s.partitions) > 1 || len(s.partitions) >= before {
		t.Errorf("%d bytes in %d of %d partitions, %v; want at most 256 KiB", size, len(s.partitions), before, err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

func TestDiskFull(t *testing.T) {
	fs := &fullFS{FS: vfs.NewMem(), avail: 10 << 20}
	s := openMem(t, fs, time.Now)
	s.SetLimits(Limits{TTL: time.Hour, MaxBytes: 1 << 30, MinFreeBytes: 20 << 20})
	if err := s.Write(t.Context(), oneSpan(1)); err == nil {
		t.Error("a write below min_free_bytes has no error")
	}
	fs.avail = 30 << 20
	if err := s.Write(t.Context(), oneSpan(1)); err != nil {
		t.Errorf("there is space again: %v", err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// TestEngineFails: the disk says no although there was space. Every write has an
// error from then on, reads go on, nothing crashes.
func TestEngineFails(t *testing.T) {
	if os.Getenv(engineFails) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEngineFails$", "-test.v")
		cmd.Env = append(os.Environ(), engineFails+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestEngineFails")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	fs := &fullFS{FS: vfs.NewMem()}
	s := openMem(t, fs, time.Now)
	if err := s.Write(t.Context(), oneSpan(1)); err != nil {
		t.Fatal(err)
	}
	fs.broken.Store(true)
	for range 2 {
		if err := s.Write(t.Context(), oneSpan(2)); err == nil {
			t.Error("a write that failed has no error")
		}
	}
	if s.Failure() == nil {
		t.Error("the store does not say that it has failed")
	}
	if got := s.Stats.Written.Load() + s.Stats.Refused.Load(); got != 3 || s.Stats.Written.Load() != 1 {
		t.Errorf("written %d, refused %d; want 1 and 2", s.Stats.Written.Load(), s.Stats.Refused.Load())
	}
	if _, err := s.Trace(t.Context(), jaegermodel.TraceID{0: 1, 15: 1}); err != nil {
		t.Errorf("reading goes on: %v", err)
	}
	if err := s.close(); err == nil {
		t.Error("closing a failed store has no error")
	}
}

func TestStoresShare(t *testing.T) {
	ss := NewStores(discard)
	cfg := DefaultConfig()
	cfg.Directory, cfg.MinFreeBytes = t.TempDir(), 0
	a, err := ss.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ss.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Write(t.Context(), oneSpan(1)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Close(), a.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Trace(t.Context(), jaegermodel.TraceID{0: 1, 15: 1}); err != nil {
		t.Errorf("reading what the other wrote: %v", err)
	}
	// Another process has the default directory: spans go to a temporary one.
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	cfg.Directory = ""
	one, err := NewStores(discard).Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	two, err := ss.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Close(), one.Close(), two.Close()); err != nil {
		t.Fatal(err)
	}
	if b.Write(t.Context(), oneSpan(2)) == nil {
		t.Error("a write to a closed store has no error")
	}
}
