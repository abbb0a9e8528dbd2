package policy

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"

	"github.com/tallygate/tallygate/mesh"
)

// randomValue draws from few strings, so that different structures of equal
// bytes come up.
func randomValue(rng *rand.Rand, depth int) mesh.Value {
	texts := []string{"", "a", "b", "ab", "a\x00", "\x01a", "\x05", "\x05\x01a", "1", "10"}
	v := mesh.Value{Kind: mesh.Kind(rng.IntN(6))}
	if depth == 0 {
		v.Kind %= 4
	}
	switch v.Kind {
	case mesh.KindBool:
		v.Bool = rng.IntN(2) == 0
	case mesh.KindNumber, mesh.KindString:
		v.Text = texts[rng.IntN(len(texts))]
	case mesh.KindArray:
		for range rng.IntN(3) {
			v.Elems = append(v.Elems, randomValue(rng, depth-1))
		}
	case mesh.KindObject:
		for _, name := range []string{"", "a", "ab", "b"} {
			if rng.IntN(2) == 0 {
				v.Fields = append(v.Fields, mesh.Field{Name: name, Value: randomValue(rng, depth-1)})
			}
		}
	}
	return v
}

// some is a request that has values at the paths "0", "1", ….
type some []*mesh.Value

func (s some) Lookup(p mesh.Path) (mesh.Value, bool) {
	i, _ := strconv.Atoi(p[0])
	if i >= len(s) || s[i] == nil {
		return mesh.Value{}, false
	}
	return *s[i], true
}

// TestKeyIsInjective: equal keys come of equal questions only.
func TestKeyIsInjective(t *testing.T) {
	type question struct {
		generation uint64
		listener   mesh.Listener
		entrypoint string
		values     some
	}
	shape := Shape{Paths: []mesh.Path{{"0"}, {"1"}, {"2"}}, Kinds: []mesh.Path{{"3"}, {"4"}}}
	rng := rand.New(rand.NewPCG(1, 1))
	seen := map[string]question{}
	same := 0
	for range 150_000 {
		q := question{uint64(rng.IntN(2)), mesh.Listener(rng.IntN(2)), []string{"", "a", "a\x00"}[rng.IntN(3)], nil}
		for range shape.Paths {
			if rng.IntN(4) == 0 {
				q.values = append(q.values, nil)
				continue
			}
			v := randomValue(rng, rng.IntN(3))
			q.values = append(q.values, &v)
		}
		for range shape.Kinds {
			q.values = append(q.values, []*mesh.Value{nil, {}, {Kind: mesh.KindString}, {Kind: mesh.KindObject}}[rng.IntN(4)])
		}
		b, ok := appendKey(appendKeyHead(nil, q.generation, q.listener, q.entrypoint), &shape, q.values, 1<<20)
		if !ok {
			t.Fatal("too long")
		}
		if before, ok := seen[string(b)]; ok {
			same++
			if !reflect.DeepEqual(before, q) {
				t.Fatalf("%+v and %+v have the same key %q", before, q, b)
			}
		}
		seen[string(b)] = q
	}
	if same < 300 {
		t.Errorf("only %d questions came twice: this shows little", same)
	}
}

func TestKeyIsBounded(t *testing.T) {
	text := func(n int) mesh.Value { return mesh.Value{Kind: mesh.KindString, Text: string(make([]byte, n))} }
	f := func(v mesh.Value, want bool) {
		t.Helper()
		b, ok := appendKey(nil, &Shape{Paths: []mesh.Path{{"0"}}}, some{&v}, 1000)
		if ok != want || cap(b) > 20_000 {
			t.Errorf("%t with a buffer of %d; want %t", ok, cap(b), want)
		}
	}
	f(text(900), true)
	f(text(1001), false)
	f(text(10<<20), false)
	many := mesh.Value{Kind: mesh.KindArray}
	object := mesh.Value{Kind: mesh.KindObject}
	for range 100_000 {
		many.Elems = append(many.Elems, text(1))
		object.Fields = append(object.Fields, mesh.Field{Name: "n", Value: text(1)})
	}
	f(many, false)
	f(object, false)
}
