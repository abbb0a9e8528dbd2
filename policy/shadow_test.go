package policy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"unsafe"

	"github.com/tallygate/tallygate/mesh"
)

func TestShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, reg := newTestDecider(t, func(c *Config) { c.Shadow.Share, c.Shadow.QueueSize = 1, 4 })
		d.Activate(allowAlice())
		candidate := &fake{revision: "next", evaluate: func(_ context.Context, _ string, r mesh.Request) (Result, error) {
			v, _ := r.Lookup(pathUser)
			switch v.Text {
			case "panic":
				panic("loud")
			case "error":
				return Result{}, errors.New("boom")
			}
			return Result{Verdict: &mesh.Verdict{Allowed: true, Rule: "next/allow"}}, nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		decide(t, d, input(t, `{"user": "nobody sees this"}`))
		d.ActivateShadow(candidate)
		go func() { done <- d.Run(ctx) }()
		for _, user := range []string{"alice", "bob", "error", "panic"} {
			in := input(t, `{"user": %q}`, user)
			decide(t, d, in)
			synctest.Wait()
		}
		f := func(want float64, enforced, shadow, rule string) {
			t.Helper()
			if got := value(t, reg, "shadow_decisions_total", "enforced", enforced, "shadow", shadow, "rule", rule); got != want {
				t.Errorf("%s, %s, %s: %v; want %v", enforced, shadow, rule, got, want)
			}
		}
		f(1, "allow", "allow", "next/allow")
		f(1, "deny", "allow", "next/allow")
		f(2, "deny", "error", "")
		last := d.LastDifferences()
		if len(last) != 3 || string(last[2].Input) != `{"user":"bob"}` || last[2].Revision != "next" || last[2].EnforcedRule != "authz/allow" || last[0].Shadow != "error" {
			t.Errorf("%+v", last)
		}
		cancel()
		<-done
		for range 10 { // nobody takes them
			decide(t, d, input(t, `{"user": "bob"}`))
		}
		if n := value(t, reg, "shadow_dropped_total"); n != 6 {
			t.Errorf("%v dropped; want 6", n)
		}
		d.ActivateShadow(nil)
		decide(t, d, input(t, `{"user": "bob"}`))
		if n := value(t, reg, "shadow_dropped_total"); n != 6 {
			t.Errorf("%v dropped without a candidate", n)
		}
	})
}

// lender lends a value whose bytes are used again.
type lender struct{ root mesh.Value }

func (l lender) Lookup(mesh.Path) (mesh.Value, bool) { return l.root, true }

// TestKeepOwnsItsMemory: the request's buffer is used again.
func TestKeepOwnsItsMemory(t *testing.T) {
	buf := []byte("namevalue")
	text := func(i, j int) string { return unsafe.String(&buf[i], j-i) }
	kept := Keep(lender{mesh.Value{Kind: mesh.KindObject, Fields: []mesh.Field{{Name: text(0, 4), Value: mesh.Value{Kind: mesh.KindString, Text: text(4, 9)}}}}})
	clear(buf)
	if v, ok := kept.Lookup(mesh.Path{"name"}); !ok || v.Text != "value" {
		t.Errorf("%v, %t", v, ok)
	}
}

func TestInputLookup(t *testing.T) {
	in := input(t, `{"a": [1, {"b": "c"}], "d": {"e": null}}`)
	got, ok := Keep(in).Lookup(mesh.Path{"a", "1", "b"})
	if !ok || got.Text != "c" {
		t.Errorf("%v, %t", got, ok)
	}
	f := func(p mesh.Path, want bool) {
		t.Helper()
		if _, ok := in.Lookup(p); ok != want {
			t.Errorf("%v: %t; want %t", p, ok, want)
		}
	}
	f(nil, true)
	f(mesh.Path{"a", "0"}, true)
	f(mesh.Path{"a", "2"}, false)
	f(mesh.Path{"a", "01"}, false)
	f(mesh.Path{"a", "-1"}, false)
	f(mesh.Path{"a", "0", "x"}, false)
	f(mesh.Path{"d", "e"}, true)
	f(mesh.Path{"d", "f"}, false)
}
