package opa

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestConstants(t *testing.T) {
	f := func(module string, want ...string) {
		t.Helper()
		g := compileWith(t, Config{Entrypoint: "p/allow"}, "package p\n"+module, map[string]any{"roles": map[string]any{"ann": []any{"admin"}}})
		var got []string
		for _, ref := range g.constants.Keys() {
			got = append(got, strings.TrimPrefix(ref.String(), "data."))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\ngot %q, want %q", module, got, want)
		}
	}
	const who = "\nadmins := {u | some u, list in data.roles; \"admin\" in list}"
	f("allow if input.a in admins"+who, "p.admins")
	f("allow if input.a in all\nall := admins | {\"root\"}"+who, "p.admins", "p.all")
	f("allow if input.a in q.admins\nq := {\"admins\": admins}"+who, "p.admins", "p.q")
	f("import data.tallygate.istio\nallow := istio.judge(ready, istio.attributes).allowed\nready := istio.prepare([])", "p.ready", "tallygate.istio.never")
	f("allow if input.a in admins\nother := count(data.roles)"+who, "p.admins")                       // asked for by nobody
	f("allow if input.a == x\nx := 1")                                                                // as good as it is
	f("allow := count(data.roles) > 0")                                                               // the entrypoint
	f("allow if x\nx := input.a in admins"+who, "p.admins")                                           // reads the request
	f("allow if x > 3\nx := time.now_ns()")                                                           // rests on the clock
	f("allow if x > 3\nx := count(data.roles) if data.none")                                          // undefined
	f("allow if x\nx := y if { y := count(data.roles) }\nx := y if { y := count(data.roles.ann)+1 }") // a conflict
	f("allow if f(input.a)\nf(x) := count(data.roles) > x")                                           // a function
	f("allow if s[input.a]\ns contains x if some x in data.roles.ann")                                // partial
	f("allow if o.a.b\no.a.b := x if { x := count(data.roles) }\no[k] := 1 if some k in data.roles")  // of two rules
	f("default x := 0\nallow if x > 3\nx := count(data.roles) if data.none", "p.x")
}

// A `with` replaces what a constant rests on, and the constant.
func TestConstantsUnderWith(t *testing.T) {
	f := func(allow string) {
		t.Helper()
		g := compileWith(t, Config{Entrypoint: "p/allow"}, `package p
admins := {u | some u, list in data.roles; "admin" in list}
size := count(admins)
allow if { `+allow+` }`, map[string]any{"roles": map[string]any{"ann": []any{"admin"}}})
		var wg sync.WaitGroup
		for range 4 { // which share the constants
			wg.Go(func() {
				for range 50 {
					if !evaluate(t, g, `{"u": "bob"}`).Verdict.Allowed {
						t.Errorf("denied: %s", allow)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	f(`size == 1; size == 2 with data.roles as {"ann": ["admin"], "bob": ["admin"]}; size == 1`)
	f(`size == 1; size == 3 with admins as {1, 2, 3}; size == 1`)
	f(`size == 1; size == 9 with count as nine` + " }\nnine(_) := 9\nother if { true")
	f(`size == 1 with input as {}`)
}
