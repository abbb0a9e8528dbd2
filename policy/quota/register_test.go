package quota

import (
	"fmt"
	"testing"
)

// full is a register with as many names and limits as it takes.
func full() *register {
	r := newRegister()
	for i := range maxNames {
		r.figures(fmt.Sprint("q", i))
	}
	for i := len(r.specs); i < maxSpecs; i++ {
		r.spec("q0", limit{n: uint64(i), per: 1, burst: 1})
	}
	return r
}

func TestRegisterIsBounded(t *testing.T) {
	r := full()
	known := r.figures("q1")
	f := func(name string, want *figures) {
		t.Helper()
		if got := r.figures(name); got != want {
			t.Errorf("%s has the books of %s", name, got.name)
		}
	}
	f("q1", known)
	f("one more", r.other)
	f("another", r.other)
	f(otherName, r.other)
	if n := len(r.all()); n != maxNames+1 {
		t.Errorf("%d books", n)
	}
	if i := r.spec("one more", limit{n: 1, per: 1, burst: 1}); i != 1 || r.at(i).name != otherName {
		t.Errorf("one more limit has number %d", i)
	}
	if i := r.spec("q0", limit{n: 7, per: 1, burst: 1}); r.at(i).n != 7 {
		t.Errorf("a known limit has number %d", i)
	}
}

// TestOverflowIsCheap: who comes when all places are taken waits for nobody, and
// costs no memory.
func TestOverflowIsCheap(t *testing.T) {
	r := full()
	r.mu.Lock() // somebody is at work; figures would hang if it waited
	if n := testing.AllocsPerRun(1000, func() { r.figures("one more").passed.Add(1) }); n != 0 {
		t.Errorf("figures: %v allocations; want 0", n)
	}
	r.mu.Unlock()
	r.mu.RLock() // others read; spec would hang if it wanted to write
	if n := testing.AllocsPerRun(1000, func() { r.spec("one more", limit{n: 1, per: 1, burst: 1}) }); n != 0 {
		t.Errorf("spec: %v allocations; want 0", n)
	}
	r.mu.RUnlock()
}

func BenchmarkFigures(b *testing.B) {
	r := full()
	for _, name := range []string{"q1", "one more"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r.figures(name)
				}
			})
		})
	}
}
