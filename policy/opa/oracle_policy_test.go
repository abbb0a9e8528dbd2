package opa

import (
	"fmt"
	"strings"
)

func (g *generator) body(vars ...string) *body {
	b := &body{g: g, vars: vars}
	for _, v := range vars {
		b.add("use(%s)", v)
	}
	for range g.IntN(3) {
		b.literal(2)
	}
	if len(b.lits) == 0 {
		b.add("true")
	}
	return b
}

// value is a head's value with the body that binds its variables.
func (g *generator) value(vars ...string) (value string, b *body) {
	b = g.body(vars...)
	return b.term(1), b
}

func (g *generator) rule(w *strings.Builder, pkg string) {
	switch name := g.fresh("r"); g.IntN(12) {
	case 9: // keys before, at and behind what is fixed
		v, b := g.value()
		fmt.Fprintf(w, "%s[%s].b := %s if { %s }\n", name, b.term(0), v, b)
		v, b = g.value()
		fmt.Fprintf(w, "%s.a.b := %s if { %s }\n", name, v, b)
		g.defined(name, pkg)
	case 10: // keys that are no strings
		for _, key := range []string{"[1]", `["x y"]`, "[[1]]"} {
			v, b := g.value()
			fmt.Fprintf(w, "%s%s := %s if { %s }\n", name, key, v, b)
		}
		g.defined(name, pkg)
		for _, key := range []string{"[1]", `["x y"]`, "[[1]]"} {
			g.rules = append(g.rules, "data."+pkg+"."+name+key)
		}
	case 11:
		g.pair(w, name, pkg)
	case 0, 1: // complete, maybe several, which may conflict
		if g.one(3) {
			fmt.Fprintf(w, "default %s := %s\n", name, g.pick(literals))
		}
		for range 1 + g.IntN(3)/2 {
			v, b := g.value()
			if g.one(2) {
				v = b.ref()
			}
			fmt.Fprintf(w, "%s := %s if { %s }", name, v, b)
			for range g.IntN(3) {
				v, b := g.value()
				fmt.Fprintf(w, " else := %s if { %s }", v, b)
			}
			fmt.Fprintln(w)
		}
		g.defined(name, pkg)
	case 2: // an alias
		fmt.Fprintf(w, "%s := %s\n", name, (&body{g: g}).ref())
		g.defined(name, pkg)
	case 3:
		for range 1 + g.IntN(2) {
			v, b := g.value()
			fmt.Fprintf(w, "%s contains %s if { %s }\n", name, v, b)
		}
		g.defined(name, pkg)
	case 4:
		v, b := g.value()
		fmt.Fprintf(w, "%s[%s] := %s if { %s }\n", name, b.term(0), v, b)
		g.defined(name, pkg)
	case 5:
		v, b := g.value()
		fmt.Fprintf(w, "%s.a[%s] := %s if { %s }\n", name, b.term(0), v, b)
		v, b = g.value()
		fmt.Fprintf(w, "%s.b := %s if { %s }\n", name, v, b)
		g.defined(name, pkg)
	default:
		g.function(w, name, pkg)
	}
}

func (g *generator) function(w *strings.Builder, name, pkg string) {
	if g.one(3) {
		fmt.Fprintf(w, "default %s(_) := %s\n", name, g.pick(literals))
	}
	for range 1 + g.IntN(3)/2 {
		arg := g.pick([]string{"x", "x", "x", "y", `{"a": x}`, `[x, _]`})
		v, b := g.value(strings.Trim(arg[strings.IndexAny(arg, "xy"):][:1], " "))
		fmt.Fprintf(w, "%s(%s) := %s if { %s }", name, arg, v, b)
		if g.one(2) {
			v, b := g.value(strings.Trim(arg[strings.IndexAny(arg, "xy"):][:1], " "))
			fmt.Fprintf(w, " else := %s if { %s }", v, b)
		}
		fmt.Fprintln(w)
	}
	g.funcs = append(g.funcs, "data."+pkg+"."+name)
}

func (g *generator) pair(w *strings.Builder, name, pkg string) {
	for range 1 + g.IntN(2) {
		args := g.pick([]string{"x, y", "x, y", "x, x", `"a", x`, "x, _", `x, {"a": y}`})
		var vars []string
		for _, v := range []string{"x", "y"} {
			if strings.Contains(args, v) {
				vars = append(vars, v)
			}
		}
		v, b := g.value(vars...)
		fmt.Fprintf(w, "%s(%s) := %s if { %s }\n", name, args, v, b)
	}
	g.pairs = append(g.pairs, "data."+pkg+"."+name)
}

func (g *generator) defined(name, pkg string) {
	g.rules = append(g.rules, "data."+pkg+"."+name)
	if pkg == "lib" {
		g.lib = append(g.lib, "data."+pkg+"."+name)
	}
}

const imports = "import future.keywords\nimport input as whole\nimport input.a.b as part\n"

// policy returns the modules of a random policy whose entrypoint is p.allow.
func (g *generator) policy() map[string]string {
	var lib, p strings.Builder
	lib.WriteString("package lib\n" + imports + "use(_) := true\nany(x) := json.unmarshal(json.marshal(x))\nsame(x) := x\n" +
		"deep(x) := x.a.b\nfirst(x) := sprintf(\"%v\", [x])\npair(x, y) := [x.a, y]\nthird(x, _, _) := x\nnamed(x) if x.a == \"a\"\nboxed(x) := [x]\nalike(x) if x == input.b\n" +
		"twin(x, x) := true\nheaded[k].n := input.c if some k in [\"a\", \"b\"]\nlent := input.c.a\nborrows := [lent, input.c]\n" +
		"constant := [x | some x in data.c.array]\n" +
		"calls := deep(input.d)\ngets := object.get(input.b, \"a\", \"no\")\n")
	for range g.IntN(3) {
		all := g.lib
		g.lib = nil // no reference to the whole package from within
		g.rule(&lib, "lib")
		g.lib = append(all, g.lib...)
	}
	p.WriteString("package p\n" + imports + "use(_) := true\n")
	for range 2 { // compared where both are there
		fmt.Fprintf(&p, "two := input.%s if use(input.%s)\n", g.pick(tops), g.pick(tops))
	}
	for range 1 + g.IntN(3) {
		g.rule(&p, "p")
	}
	if g.one(3) {
		v, b := g.value()
		fmt.Fprintf(&p, "allow := %s if { %s }", v, b)
		v, b = g.value()
		fmt.Fprintf(&p, " else := %s if { %s }\n", v, b)
	} else {
		// Parts that are undefined leave the others to be compared.
		p.WriteString("allow := [\n")
		for range 1 + g.IntN(3) {
			b := &body{g: g}
			for range g.IntN(3) {
				b.literal(2)
			}
			b.add("result := %s", b.result())
			fmt.Fprintf(&p, "\t[result | %s],\n", b)
		}
		p.WriteString("]\n")
	}
	return map[string]string{"lib.rego": lib.String(), "p.rego": p.String()}
}
