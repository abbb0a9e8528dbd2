package policy

import (
	"reflect"
	"testing"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// TestDescriptorLens: single paths are what the whole input has there.
func TestDescriptorLens(t *testing.T) {
	l := &descriptorLens{domain: "d", d: &mesh.Descriptor{Cost: 3, Entries: []mesh.DescriptorEntry{{Key: "b", Value: "1"}, {Key: "a", Value: "2"}, {Key: "b", Value: "3"}}}}
	var walk func(p mesh.Path, want mesh.Value)
	n := 0
	walk = func(p mesh.Path, want mesh.Value) {
		n++
		if got, ok := l.Lookup(p); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v, %v; want %+v", p, got, ok, want)
		}
		for _, f := range want.Fields {
			walk(append(p[:len(p):len(p)], f.Name), f.Value)
		}
		for i, e := range want.Elems {
			walk(append(p[:len(p):len(p)], string(rune('0'+i))), e)
		}
	}
	whole, _ := l.Lookup(nil)
	walk(nil, whole)
	if n != 16 {
		t.Errorf("%d paths; want 16", n)
	}
	for _, p := range []mesh.Path{{"x"}, {"domain", "x"}, {"descriptor", "x"}, {"descriptor", "b", "x"}, {"entries", "3"}, {"entries", "01"}, {"entries", "0", "x"}} {
		if v, ok := l.Lookup(p); ok {
			t.Errorf("%s is %+v; want nothing", p, v)
		}
	}
	if v, _ := l.Lookup(mesh.Path{"descriptor", "b"}); v.Text != "3" {
		t.Errorf("of equal keys %q wins; want the last", v.Text)
	}
}

func TestRuleOf(t *testing.T) {
	f := func(limit uint64, per time.Duration, requests uint32, unit mesh.LimitUnit, multiplier uint32) {
		t.Helper()
		r := ruleOf(&mesh.Verdict{Allowed: true, Quotas: []mesh.Quota{{Name: "q", Limit: limit, Per: per}}})
		if r.Requests != requests || r.Unit != unit || r.Multiplier != multiplier {
			t.Errorf("%d per %s: %d per %d %s", limit, per, r.Requests, r.Multiplier, r.Unit)
		}
	}
	f(5, time.Second, 5, mesh.UnitSecond, 1)
	f(5, 90*time.Second, 5, mesh.UnitSecond, 90)
	f(5, 14*24*time.Hour, 5, mesh.UnitWeek, 2)
	f(5, 100*time.Millisecond, 50, mesh.UnitSecond, 1)
	f(1<<40, time.Hour, 1<<32-1, mesh.UnitHour, 1)
}

func TestMatchRefusesTwoQuotas(t *testing.T) {
	var m mesh.LimitMatch
	v := &mesh.Verdict{Allowed: true, Quotas: make([]mesh.Quota, 2)}
	if err := match(&m, v, &mesh.Descriptor{}); err == nil {
		t.Error("two quotas of one descriptor are taken")
	}
	v = &mesh.Verdict{Allowed: true, Quotas: []mesh.Quota{{Name: "q", Limit: 9, Per: time.Second, Cost: 3}}}
	if err := match(&m, v, &mesh.Descriptor{Cost: 2, Refund: true}); err != nil || m.Quota.Cost != 6 || !m.Quota.Refund || v.Quotas[0].Cost != 3 {
		t.Errorf("%v, %+v", err, m.Quota)
	}
}
