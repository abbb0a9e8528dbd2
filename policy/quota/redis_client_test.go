package quota

import "testing"

// TestCut: no call of the script is long, and no group is in two.
func TestCut(t *testing.T) {
	f := func(group func(i int) uint64, n int, want ...int) {
		t.Helper()
		items, part := make([]item, n), make([]int, n)
		for i := range items {
			items[i].group, part[i] = group(i), i
		}
		calls := cut(items, part)
		var got []int
		next := 0
		for _, c := range calls {
			got = append(got, len(c))
			for _, i := range c {
				if i != next {
					t.Fatalf("item %d comes where %d should", i, next)
				}
				next++
			}
		}
		if len(got) != len(want) || next != n {
			t.Fatalf("calls of %v; want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("calls of %v; want %v", got, want)
			}
		}
	}
	none := func(int) uint64 { return 0 }
	threes := func(i int) uint64 { return 1 + uint64(i/3) }
	f(none, 0)
	f(none, 512, 512)
	f(none, 1030, 512, 512, 6)
	f(threes, 1030, 513, 513, 4)
}
