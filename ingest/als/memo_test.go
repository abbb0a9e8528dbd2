package als

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/tallygate/tallygate/ingest/ingesttest"
)

func TestMemo(t *testing.T) {
	var budget atomic.Int64
	budget.Store(1000)
	m := newMemo[int](200, &budget)
	ask := func(key string) (hit bool) {
		v, hash, ok := m.get([]byte(key))
		if !ok {
			m.put(hash, []byte(key), len(key))
		} else if v != len(key) {
			t.Errorf("%q is remembered as %d", key, v)
		}
		return ok
	}
	ask("always")
	for i := range 10_000 {
		ask(fmt.Sprint("once ", i))
		if i%50 == 0 && !ask("always") {
			t.Fatalf("what is used is forgotten after %d others", i)
		}
	}
	if n := len(m.young) + len(m.old); n > 200 || int64(n) != 1000-budget.Load() {
		t.Errorf("%d entries, %d of the budget spent; want at most 200", n, 1000-budget.Load())
	}
	long := make([]byte, maxMemoKey+1)
	if _, hash, _ := m.get(long); true {
		m.put(hash, long, 1)
	}
	if _, _, ok := m.get(long); ok {
		t.Error("a key beyond the limit is remembered")
	}
	m.clear()
	if budget.Load() != 1000 || ask("always") {
		t.Errorf("after clear %d of the budget are spent", 1000-budget.Load())
	}
	// With the budget spent, the floor is left.
	budget.Store(0)
	for i := range 1000 {
		ask(fmt.Sprint(i))
	}
	if n := len(m.young) + len(m.old); n > 2*memoFloor || !ask("999") {
		t.Errorf("%d entries without a budget; want at most %d", n, 2*memoFloor)
	}
}

// TestStreamsGiveBack ends streams: what they remembered is given back.
func TestStreamsGiveBack(t *testing.T) {
	s, reg := newTestServer(t, discard{}, nil)
	data := mustMarshal(t, sampleMessage(0, 10))
	for range 3 {
		fs, done := run(s)
		fs.messages <- data
		close(fs.messages)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if n := ingesttest.Metric(t, reg, "tallygate_als_memo_entries"); n != 0 {
		t.Errorf("%v identities are still remembered", n)
	}
}
