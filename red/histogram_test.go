package red

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
)

func TestBucketsFind(t *testing.T) {
	f := func(bounds []float64, scale float64, v uint64, want int) {
		t.Helper()
		if got := newBuckets(bounds, scale).find(v); got != want {
			t.Errorf("find(%d) in %v = %d; want %d", v, bounds, got, want)
		}
	}
	f(DefaultBuckets, nanosPerMilli, 0, 0)
	f(DefaultBuckets, nanosPerMilli, 500_000, 0)
	f(DefaultBuckets, nanosPerMilli, 500_001, 1)
	f(DefaultBuckets, nanosPerMilli, 250_000_000, 7)
	f(DefaultBuckets, nanosPerMilli, 3_600_000_000_000, 18)
	f(DefaultBuckets, nanosPerMilli, 3_600_000_000_001, 19)
	f(DefaultBuckets, nanosPerMilli, math.MaxUint64, 19)
	f(DefaultBuckets, 1, 0, 0)
	f(DefaultBuckets, 1, 1, 1)
	f(DefaultBuckets, 1, 3_600_001, 19)
	f([]float64{0.0003, 0.1}, nanosPerMilli, 300, 0)
	f([]float64{0.0003, 0.1}, nanosPerMilli, 301, 1)
	f([]float64{1e30}, nanosPerMilli, math.MaxUint64-1, 0)
}

// FuzzBuckets checks the histogram against a sorted list of its bounds and
// values.
func FuzzBuckets(f *testing.F) {
	f.Add(uint64(1), uint64(2), 19)
	f.Add(uint64(7), uint64(9), 1)
	f.Fuzz(func(t *testing.T, seed1, seed2 uint64, n int) {
		if n < 1 || n > maxBuckets {
			return
		}
		r := rand.New(rand.NewPCG(seed1, seed2))
		whole := map[uint64]bool{}
		for len(whole) < n {
			whole[1+r.Uint64N(1<<(8+r.IntN(45)))] = true
		}
		var bounds []float64
		for b := range whole {
			bounds = append(bounds, float64(b))
		}
		slices.Sort(bounds)
		if err := validateBuckets(bounds); err != nil {
			t.Fatal(err)
		}
		b := newBuckets(bounds, 1)
		got := make([]int, n+1)
		var values []float64
		for range 1000 {
			v := r.Uint64N(1 << (1 + r.IntN(53)))
			if r.IntN(2) == 0 {
				v = uint64(bounds[r.IntN(n)]) + r.Uint64N(3) - 1
			}
			got[b.find(v)]++
			values = append(values, float64(v))
		}
		slices.Sort(values)
		cumulative := 0
		for i, bound := range bounds {
			cumulative += got[i]
			if want := sort.Search(len(values), func(j int) bool { return values[j] > bound }); cumulative != want {
				t.Fatalf("%d values up to %v; want %d", cumulative, bound, want)
			}
		}
		if cumulative+got[n] != len(values) {
			t.Fatalf("%d values in all; want %d", cumulative+got[n], len(values))
		}
	})
}

func TestNativeIndex(t *testing.T) {
	for schema := int32(minSchema); schema <= maxSchema; schema++ {
		base := math.Exp2(math.Exp2(float64(-schema)))
		check := func(v float64) {
			t.Helper()
			i := nativeIndex(v, schema)
			lower, upper := math.Pow(base, float64(i-1)), math.Pow(base, float64(i))
			if v <= lower*(1-1e-9) || v > upper*(1+1e-9) {
				t.Errorf("schema %d: %v is in bucket %d, (%v, %v]", schema, v, i, lower, upper)
			}
		}
		r := rand.New(rand.NewPCG(1, uint64(schema)))
		for range 10_000 {
			check(math.Exp2(r.Float64()*60 - 20))
		}
		for exp := -20; exp < 40; exp++ {
			v := math.Ldexp(1, exp)
			check(v)
			want := int32(exp)
			if schema >= 0 {
				want <<= schema
			} else {
				want = int32(math.Ceil(float64(exp) / math.Exp2(float64(-schema))))
			}
			if got := nativeIndex(v, schema); got != want { // powers of two are bounds: exactly
				t.Errorf("schema %d: %v is in bucket %d; want %d", schema, v, got, want)
			}
		}
	}
}

func TestSchemaFor(t *testing.T) {
	f := func(factor float64, want int32) {
		t.Helper()
		if got := schemaFor(factor); got != want {
			t.Errorf("schemaFor(%v) = %d; want %d", factor, got, want)
		}
	}
	f(1.1, 3)
	f(2, 0)
	f(1.0905077326652577, 3)
	f(4, -1)
	f(1.0001, maxSchema)
	f(1e9, minSchema)
}

// TestNativeAdd checks that a bounded histogram is what counting at its last
// resolution makes.
func TestNativeAdd(t *testing.T) {
	f := func(limit int, draw func(*rand.Rand) float64) {
		t.Helper()
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, 1))
			n := Native{Schema: 3}
			var values []float64
			for range 3000 {
				v := draw(r)
				values = append(values, v)
				n.add(v, limit)
				if len(n.Counts) > limit {
					t.Fatalf("%d buckets; want at most %d", len(n.Counts), limit)
				}
			}
			want, zero := map[int32]uint64{}, uint64(0)
			for _, v := range values {
				if v == 0 {
					zero++
					continue
				}
				want[nativeIndex(v, n.Schema)]++
			}
			if n.Zero != zero {
				t.Errorf("%d zeros; want %d", n.Zero, zero)
			}
			for j, c := range n.Counts {
				i := n.Offset + int32(j)
				if c != want[i] {
					t.Errorf("limit %d, schema %d: bucket %d has %d; want %d", limit, n.Schema, i, c, want[i])
				}
				delete(want, i)
			}
			if len(want) > 0 {
				t.Errorf("limit %d, schema %d: values beyond the buckets: %v", limit, n.Schema, want)
			}
		}
	}
	f(160, func(r *rand.Rand) float64 { return r.ExpFloat64() * 20 })
	f(160, func(r *rand.Rand) float64 { return math.Exp2(r.Float64()*40 - 20) })
	f(8, func(r *rand.Rand) float64 { return math.Exp2(r.Float64()*40 - 20) })
	f(20, func(r *rand.Rand) float64 { return float64(r.IntN(3)) })
	f(8, func(r *rand.Rand) float64 { return math.Ldexp(1, r.IntN(80)-20) })
}
