package cache

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Unix(1_700_000_000, 0)

func TestGetPut(t *testing.T) {
	c := New[int](1 << 20)
	f := func(key string, at time.Duration, want int, wantOutcome Outcome) {
		t.Helper()
		if got, o := c.Get([]byte(key), epoch.Add(at)); got != want || o != wantOutcome {
			t.Errorf("Get(%q) after %s = %d, %d; want %d, %d", key, at, got, o, want, wantOutcome)
		}
	}
	f("a", 0, 0, Miss)
	c.Put([]byte("a"), 1, 0, epoch, epoch.Add(time.Second))
	c.Put([]byte(""), 2, 0, epoch, epoch.Add(time.Minute))
	f("a", 0, 1, Hit)
	f("", 0, 2, Hit)
	f("b", 0, 0, Miss)
	f("a", time.Second-1, 1, Hit)
	f("a", time.Second, 0, Stale)
	f("a", time.Second, 0, Miss) // it is gone
	c.Put([]byte("a"), 3, 0, epoch, epoch.Add(time.Second))
	c.Put([]byte("a"), 4, 0, epoch, epoch.Add(time.Minute))
	f("a", time.Second, 4, Hit)
	if s := c.Stats(); s.Entries != 2 || s.Evictions != 0 {
		t.Errorf("stats %+v; want 2 entries, no eviction", s)
	}
	c.Clear()
	f("a", 0, 0, Miss)
	if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 {
		t.Errorf("stats %+v after Clear", s)
	}
}

// TestKeyIsCopied: the caller reuses its key.
func TestKeyIsCopied(t *testing.T) {
	c := New[int](1 << 20)
	key := []byte("one")
	c.Put(key, 1, 0, epoch, epoch.Add(time.Hour))
	copy(key, "two")
	if _, o := c.Get(key, epoch); o != Miss {
		t.Error("the entry follows the caller's buffer")
	}
	if _, o := c.Get([]byte("one"), epoch); o != Hit {
		t.Error("the entry is lost")
	}
}

// TestCollisions: where all keys have few hashes, whole keys still decide.
func TestCollisions(t *testing.T) {
	for _, hashes := range []uint64{1, 3} {
		c := newCache[int](64<<20, func(b []byte) uint64 { return uint64(len(b)) % hashes })
		key := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, i%7+1) }
		want := map[string]int{}
		for i := range 1000 {
			c.Put(key(i), i, 0, epoch, epoch.Add(time.Hour))
			want[string(key(i))] = i
		}
		for i := range 2000 {
			got, o := c.Get(key(i), epoch)
			if w, ok := want[string(key(i))]; ok != (o == Hit) || got != w {
				t.Fatalf("%d hashes: key %d: %d, %d; want %d, %t", hashes, i, got, o, w, ok)
			}
		}
		for i := range 500 { // replaced, out of the middle of a chain
			c.Put(key(i*2), -i, 0, epoch, epoch)
			if _, o := c.Get(key(i*2), epoch); o != Stale {
				t.Fatalf("%d hashes: key %d: %d; want stale", hashes, i*2, o)
			}
		}
		if n := c.Stats().Entries; n != len(want)-500 {
			t.Errorf("%d hashes: %d entries; want %d", hashes, n, len(want)-500)
		}
	}
}

// TestByteBound: whatever is put, the bound holds after every step.
func TestByteBound(t *testing.T) {
	const limit = 1 << 20
	c := New[int](limit)
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, 100, 5_000, 100_000, limit/4 - 1, limit / 4, limit, 1 << 40, -1}
	for i := range 20_000 {
		key := bytes.Repeat([]byte{byte(i)}, rng.IntN(300))
		size := sizes[rng.IntN(len(sizes))]
		stored := c.Put(key, i, size, epoch, epoch.Add(time.Duration(rng.IntN(3))*time.Second))
		if size >= limit && stored {
			t.Fatalf("a value of %d bytes was stored in %d", size, limit)
		}
		c.Get(key, epoch.Add(time.Second))
		if s := c.Stats(); s.Bytes > limit || s.Bytes < 0 || s.Entries == 0 != (s.Bytes == 0) {
			t.Fatalf("step %d: %+v; limit %d", i, s, limit)
		}
	}
	if s := c.Stats(); s.Evictions == 0 || s.Refused == 0 {
		t.Errorf("%+v; want evictions and refusals", s)
	}
}

// TestRefusedReplaces: what is too large also ends what it would
// have replaced.
func TestRefusedReplaces(t *testing.T) {
	c := New[int](1 << 20)
	c.Put([]byte("a"), 1, 0, epoch, epoch.Add(time.Hour))
	if c.Put([]byte("a"), 2, 1<<30, epoch, epoch.Add(time.Hour)) {
		t.Error("stored")
	}
	if _, o := c.Get([]byte("a"), epoch); o != Miss {
		t.Error("the older value is still there")
	}
}

// TestUsedSurvive: entries that are asked for outlive those that are not.
func TestUsedSurvive(t *testing.T) {
	c := New[int](256 << 10) // one shard
	later := epoch.Add(time.Hour)
	for i := range 50 {
		c.Put(fmt.Appendf(nil, "hot %d", i), i, 0, epoch, later)
	}
	for i := range 10_000 {
		c.Put(fmt.Appendf(nil, "cold %d", i), i, 0, epoch, later)
		c.Get(fmt.Appendf(nil, "hot %d", i%50), epoch)
	}
	for i := range 50 {
		if _, o := c.Get(fmt.Appendf(nil, "hot %d", i), epoch); o != Hit {
			t.Errorf("hot %d was evicted", i)
		}
	}
}

func TestConcurrent(t *testing.T) {
	c := New[int](1 << 20)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 0))
			var key []byte
			for range 5_000 {
				n := rng.IntN(3_000)
				key = fmt.Appendf(key[:0], "key %d", n)
				if v, o := c.Get(key, epoch); o == Hit && v != n {
					t.Errorf("key %d holds %d", n, v)
				}
				c.Put(key, n, rng.IntN(2_000), epoch, epoch.Add(time.Hour))
			}
		})
	}
	wg.Wait()
	if s := c.Stats(); s.Bytes > 1<<20 {
		t.Errorf("%+v", s)
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	c := New[*int](1 << 20)
	key := bytes.Repeat([]byte("k"), 300)
	c.Put(key, new(int), 0, epoch, epoch.Add(time.Hour))
	if n := testing.AllocsPerRun(100, func() { c.Get(key, epoch) }); n != 0 {
		t.Errorf("a hit makes %.0f allocations", n)
	}
}

func BenchmarkHit(b *testing.B) {
	c := New[*int](64 << 20)
	const keys = 2000
	all := make([][]byte, keys)
	for i := range all {
		all[i] = fmt.Appendf(bytes.Repeat([]byte("k"), 200), "%d", i)
		c.Put(all[i], new(int), 100, epoch, epoch.Add(time.Hour))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, o := c.Get(all[i%keys], epoch); o != Hit {
				b.Fatal("a miss")
			}
		}
	})
}
