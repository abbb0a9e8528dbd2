package opa

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator writes random policies. Package lib is below package p, and in each
// a rule refers only to those before it, so that nothing is recursive.
type generator struct {
	*rand.Rand
	n     int
	lib   []string // rules of lib, as data.lib.x
	rules []string // rules that may be referred to
	funcs []string // functions of one argument
	pairs []string // functions of two
}

var (
	keys = []string{"a", "b", "c"}
	tops = []string{"a", "b", "c", "d", "e", "parsed_path", "parsed_query", "parsed_body"} // so many that not all are read
)

func (g *generator) pick(s []string) string { return s[g.IntN(len(s))] }
func (g *generator) one(in int) bool        { return g.IntN(in) == 0 }

func (g *generator) fresh(prefix string) string {
	g.n++
	return fmt.Sprintf("%s%d", prefix, g.n)
}

// body collects the literals of a rule and the variables they bind.
type body struct {
	g    *generator
	vars []string
	lits []string
	// negated bodies must not bind anything
	negated bool
}

func (b *body) inner() *body { return &body{g: b.g, vars: append([]string(nil), b.vars...)} }

func (b *body) add(format string, args ...any) { b.lits = append(b.lits, fmt.Sprintf(format, args...)) }

func (b *body) String() string { return strings.Join(b.lits, "; ") }

// constant is one whose type the checker cannot know.
func (b *body) constant() string { return "data.c." + b.g.pick(constants) }

var constants = []string{"n0", "n1", "a", "b", "yes", "no", "null", "none", "object", "array"}

var literals = []string{`0`, `"a"`, `true`, `false`, `null`, `{}`, `{"a": 1}`, `["a"]`}

func constantData() map[string]any {
	return map[string]any{"c": map[string]any{
		"n0": 0, "n1": 1, "a": "a", "b": "b", "yes": true, "no": false, "null": nil,
		"none": map[string]any{}, "object": map[string]any{"a": 1, "b": map[string]any{"c": "a"}}, "array": []any{"a"},
	}}
}

// selectors follows a reference by up to n keys, seldom by none.
func (b *body) selectors(n int) string {
	var s strings.Builder
	for range max(b.g.IntN(n+1), b.g.IntN(n+1)) {
		switch {
		case len(b.vars) > 0 && b.g.one(30):
			fmt.Fprintf(&s, "[%s]", b.g.pick(b.vars))
		case b.g.one(7):
			s.WriteString(b.g.pick([]string{"[0]", "[1]", "[2]", `["0"]`, `["1"]`}))
		case !b.negated && b.g.one(18):
			s.WriteString("[_]")
		case b.g.one(25):
			fmt.Fprintf(&s, "[input.%s]", b.g.pick(tops))
		default:
			s.WriteString("." + b.g.pick(keys))
		}
	}
	return s.String()
}

// ref is a reference to anything that has parts.
func (b *body) ref() string {
	switch g := b.g; {
	case len(b.vars) > 0 && g.one(2):
		return g.pick(b.vars) + b.selectors(2)
	case len(g.rules) > 0 && g.one(3):
		return g.pick(g.rules) + b.selectors(2)
	case len(g.funcs) > 0 && g.one(20):
		return fmt.Sprintf("%s(input.%s)%s", g.pick(g.funcs), g.pick(tops), b.selectors(2))
	case g.one(40):
		return fmt.Sprintf(g.pick([]string{`{"a": input.%s}.a%s`, `[v | v := input.%s][0]%s`}), g.pick(tops), b.selectors(1))
	case g.one(20):
		return g.pick([]string{"whole", "part"}) + b.selectors(2) // imports
	case len(g.lib) > 0 && g.one(6):
		key := b.term(0)
		if !b.negated && g.one(3) {
			key = "_"
		}
		return "data.lib[" + key + "]" + b.selectors(1)
	case len(g.lib) > 0 && g.one(30):
		return "data.lib"
	case g.one(150):
		return "input"
	default:
		return "input." + g.pick(tops) + b.selectors(2)
	}
}

func (b *body) term(depth int) string {
	g := b.g
	if depth <= 0 {
		if g.one(4) {
			return b.constant()
		}
		return b.ref()
	}
	switch g.IntN(17) {
	case 0:
		return b.constant()
	case 14:
		return fmt.Sprintf(`$"{%s}-{%s}"`, b.ref(), b.ref())
	case 15:
		if len(g.pairs) > 0 {
			return fmt.Sprintf("%s(%s, %s)", g.pick(g.pairs), b.ref(), b.term(depth-1))
		}
		return b.ref()
	case 16:
		return fmt.Sprintf("{v | walk(%s, [_, v])}", b.ref())
	case 1:
		if len(g.funcs) > 0 {
			return fmt.Sprintf("%s(%s)", g.pick(g.funcs), b.term(depth-1))
		}
		return b.ref()
	case 2:
		if len(g.funcs) > 0 {
			return fmt.Sprintf("%s(%s)", g.pick(g.funcs), b.ref())
		}
		return b.ref()
	case 3:
		key := g.pick([]string{`"a"`, `"b"`, `["a", "b"]`, `["c"]`, `[]`, b.ref()})
		return fmt.Sprintf("object.get(%s, %s, %s)", b.ref(), key, b.term(0))
	case 4:
		in := b.inner()
		v := g.fresh("x")
		in.add("some %s in %s", v, b.term(depth-1))
		in.vars = append(in.vars, v)
		in.literal(depth - 1)
		return fmt.Sprintf(g.pick([]string{"[%s | %s]", "{%s | %s}", "{1: %s | %s}"}), in.term(0), in)
	case 5:
		return fmt.Sprintf(g.pick([]string{`[%s, %s]`, `{"a": %s, "b": %s}`, `{%s, %s}`}), b.term(depth-1), b.term(depth-1))
	case 6:
		return fmt.Sprintf("%s(%s)", g.pick([]string{"data.lib.any", "data.lib.same"}), b.term(depth-1))
	default:
		return b.ref()
	}
}

func (b *body) literal(depth int) {
	g := b.g
	switch g.IntN(22) {
	case 17:
		in := b.inner()
		v := g.fresh("u")
		in.add("%s = %s", v, b.ref())
		in.vars = append(in.vars, v)
		in.literal(depth - 1)
		b.add("not { %s }", in)
	case 18:
		b.negated = true
		b.add("{ %s } %s { %s == %s }", b.ref(), g.pick([]string{"or", "or", "and"}), b.ref(), b.term(0))
		b.negated = false
	case 19:
		v := g.fresh("x")
		b.add("walk(%s, [_, %s])", b.ref(), v)
		b.add("use(%s)", v)
		b.vars = append(b.vars, v)
	case 20:
		b.add("%s == %s with %s", b.term(depth), b.term(0), b.mock())
	case 21: // what one equation binds, another compares
		v, w := g.fresh("u"), g.fresh("u")
		b.add("%s", g.pick([]string{
			fmt.Sprintf("%s = %s; [%s, %s] = [%s, 1]", v, b.ref(), v, w, b.ref()),
			fmt.Sprintf("%s = %s; use(%s); %s := %s; %s = %s", v, b.ref(), v, w, b.ref(), v, w),
			fmt.Sprintf("some %s in [%s]; %s = %s", v, b.ref(), v, b.ref()),
			fmt.Sprintf("%s = %s; %s = %s", v, b.ref(), v, b.ref()),
		}))
	case 0, 1, 2:
		v := g.fresh("v")
		if g.one(4) {
			b.add("%s := %s", v, b.term(depth))
		} else {
			b.add("%s := %s", v, b.ref())
		}
		if g.one(2) {
			b.add("use(%s)", v) // a use that reads nothing
		}
		b.vars = append(b.vars, v)
	case 3:
		v := g.fresh("u")
		b.add("%s = %s", v, b.ref())
		if g.one(2) {
			b.vars = append(b.vars, v)
		}
		if g.one(4) {
			b.add("%s = %s", v, b.ref())
		}
	case 4:
		v := g.fresh("x")
		b.add("some %s in %s", v, b.term(depth))
		b.add("use(%s)", v)
		b.vars = append(b.vars, v)
	case 5:
		k, v := g.fresh("k"), g.fresh("x")
		b.add("some %s, %s in %s", k, v, b.ref())
		b.vars = append(b.vars, k, v)
		b.add("use([%s, %s])", k, v)
	case 6:
		in := b.inner()
		v := g.fresh("e")
		in.vars = append(in.vars, v)
		in.add("use(%s)", v)
		in.literal(depth - 1)
		b.add("every %s in %s { %s }", v, b.term(depth-1), in)
	case 7:
		b.negated = true
		b.add("not %s", b.ref())
		b.negated = false
	case 8:
		b.negated = true
		b.add("not %s == %s", b.ref(), b.term(0))
		b.negated = false
	case 9:
		b.add("%s == %s with input.%s as %s", b.ref(), b.term(0), g.pick([]string{"a", "b", "a.b", "c.a.b"}), b.term(depth-1))
	case 10:
		b.add("%s with input as %s", b.ref(), b.term(depth-1))
	case 11:
		if len(g.lib) > 0 {
			b.add("%s with %s as %s", b.ref(), g.pick(g.lib), b.term(0))
		}
	case 12:
		if len(g.funcs) > 1 && g.one(3) {
			f := g.pick(g.funcs)
			b.add("%s(%s) == %s with %s as %s", f, b.ref(), b.constant(), f, g.pick(g.funcs))
		}
	case 13:
		b.add("%s != %s", b.term(depth), b.term(0))
	case 14:
		b.add("%s == %s", b.term(depth), b.constant())
	case 15:
		in, v := b.inner(), g.fresh("x")
		in.add("%s = %s", v, b.ref())
		in.vars = append(in.vars, v)
		in.literal(depth - 1)
		b.add("count({%s | %s}) > 0", v, in)
	default:
		b.add("%s", b.ref())
	}
}

// mock replaces a function, built in or not, or a rule, in what precedes it.
func (b *body) mock() string {
	g := b.g
	switch n := g.IntN(5); {
	case n == 0 && len(g.funcs) > 1:
		return fmt.Sprintf("%s as %s", g.pick(g.funcs), g.pick(g.funcs))
	case n == 1 && len(g.pairs) > 0:
		return fmt.Sprintf("%s as %s", g.pick(g.pairs), g.pick([]string{b.constant(), b.ref(), "data.lib.pair"}))
	case n == 2:
		return "object.get as data.lib.third"
	case n == 3:
		return "json.marshal as data.lib.first"
	case len(g.rules) > 0:
		return fmt.Sprintf("%s as %s", g.pick(g.rules), b.ref())
	}
	return "json.marshal as " + b.ref()
}

// rare is a term that tells how parts are read which other terms seldom read
// alone.
func (b *body) rare() string {
	g := b.g
	x, y, v := "input."+g.pick(tops), "input."+g.pick(tops)+g.pick([]string{"", ".a", ".b"}), g.fresh("v")
	return g.pick([]string{
		fmt.Sprintf(`object.get(%s, "a", %s)`, x, y),
		fmt.Sprintf(`object.get(%s, ["a", %s], "no")`, x, y),
		fmt.Sprintf(`object.get(%s, [%s, "a"], "no")`, x, y),
		fmt.Sprintf(`{%s, %s}`, x, y),
		fmt.Sprintf(`data.lib[%s]`, y),
		`[v | v := data.lib[_]]`,
		fmt.Sprintf(`[1 | %s = %s; %s = %s]`, v, x, v, y),
		"two.a",
		fmt.Sprintf("data.lib.boxed(%s)", y),
		fmt.Sprintf("{1: %s | %s := %s}", v, v, y),
		fmt.Sprintf("data.lib.constant with data.c.array as %s", y),
		fmt.Sprintf(`[1 | { use(%s) } %s { %s == "a" }]`, x, g.pick([]string{"and", "or"}), y),
		fmt.Sprintf(`[1 | data.lib.alike(%s)]`, x),
		fmt.Sprintf(`[w | %s := %s; w := object.get(%s, "a", "no")]`, v, x, v),
		fmt.Sprintf(`[$"{%s}"]`, x),
		fmt.Sprintf(`[1 | data.lib.twin(%s, %s)]`, x, y),
		fmt.Sprintf(`[%s | %s := data.lib.headed.a.n]`, v, v),
		fmt.Sprintf("data.lib.borrows with data.lib.lent as %s", y),
		fmt.Sprintf(`[[1 | data.lib.named(%s)], [1 | data.lib.named(%s)]]`, x, y),
	})
}

// result is a term that says much about what it is made from.
func (b *body) result() string {
	g := b.g
	if g.one(2) {
		v := g.fresh("v")
		b.add("%s := input%s", v, g.pick([]string{"", ".a", ".b", ".c", ".a.b", ".d.a"}))
		b.add("use(%s)", v)
		b.vars = append(b.vars, v)
	}
	if g.one(5) {
		return b.rare()
	}
	subject := b.ref()
	if len(g.rules) > 0 && g.one(3) {
		subject = g.pick(g.rules) + b.selectors(2)
	}
	if len(g.funcs) > 0 && g.one(2) {
		f := g.pick(g.funcs)
		subject = fmt.Sprintf("%s(%s)", f, subject)
		if g.one(2) {
			return fmt.Sprintf("%s with %s as %s", subject, f, g.pick(g.funcs))
		}
	}
	switch g.IntN(9) {
	case 8:
		return fmt.Sprintf(g.pick([]string{`[%s, %s]`, `{"a": %s, "b": %s}`, `{%s, %s}`, `[1 | use(%s); use(%s)]`}), subject, b.ref())
	case 6:
		return fmt.Sprintf("%s with %s", subject, b.mock())
	case 7: // mocked in a call of an alias, and there alone
		v := g.fresh("v")
		b.add("%s := input%s", v, g.pick([]string{"", ".a", ".b", ".d"}))
		return fmt.Sprintf("%s with %s", g.pick([]string{
			"data.lib.calls", "data.lib.gets", // or in a rule that is asked for under the with
			fmt.Sprintf(`object.get(%s, "a", "no")`, v), fmt.Sprintf("data.lib.any(%s)", v), fmt.Sprintf("data.lib.deep(%s)", v),
		}), g.pick([]string{"object.get as data.lib.third", "json.marshal as data.lib.first", "data.lib.any as data.lib.deep", "data.lib.deep as data.lib.any", "data.lib.deep as data.lib.same"}))
	case 0:
		return fmt.Sprintf("%s with input.%s as %s", subject, g.pick([]string{"a", "b", "c.a", "a.b.c"}), b.term(0))
	case 1:
		return fmt.Sprintf("%s with input as %s", subject, b.ref())
	case 2:
		if len(g.lib) > 0 {
			return fmt.Sprintf("%s with %s as %s", subject, g.pick(g.lib), b.term(0))
		}
	case 3:
		return b.term(2)
	case 4:
		key := g.pick([]string{`"a"`, `["a", "b"]`, `["c"]`, `[]`, b.ref(), fmt.Sprintf(`["a", %s]`, b.ref())})
		return fmt.Sprintf(`object.get(%s, %s, %s)`, subject, key, g.pick([]string{`"no"`, b.ref()}))
	}
	return subject
}
