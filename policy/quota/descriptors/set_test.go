package descriptors

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func compile(t testing.TB, yaml string) *Set {
	t.Helper()
	s, err := Compile([]File{{"limits.yaml", []byte(yaml)}}, false)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return s
}

// ask finds the limits of descriptors, each written as key=value,key=value.
func ask(t testing.TB, s mesh.LimitFinder, domain string, descriptors ...string) []mesh.LimitMatch {
	t.Helper()
	r := &mesh.LimitRequest{Domain: domain, Matches: make([]mesh.LimitMatch, len(descriptors))}
	for _, d := range descriptors {
		r.Descriptors = append(r.Descriptors, descriptor(d))
	}
	if err := s.FindLimits(t.Context(), r); err != nil {
		t.Fatalf("FindLimits: %v", err)
	}
	return r.Matches
}

func descriptor(s string) (d mesh.Descriptor) {
	d.Cost = 1
	for e := range strings.SplitSeq(s, ",") {
		key, value, _ := strings.Cut(e, "=")
		d.Entries = append(d.Entries, mesh.DescriptorEntry{Key: key, Value: value})
	}
	return d
}

// said is a match in one line.
func said(m *mesh.LimitMatch) string {
	switch {
	case m.Rule == nil:
		return "-"
	case m.Rule.Unlimited:
		return m.Rule.Path + " unlimited"
	}
	s := fmt.Sprintf("%s %d/%s %s", m.Rule.Path, m.Quota.Limit, m.Quota.Per, m.Quota.Key)
	if m.Metric != "" {
		s += " as " + m.Metric
	}
	if m.Quota.Shadow {
		s += " shadow"
	}
	if !m.Charge {
		s += " uncharged"
	}
	return s
}

const treeYAML = `
domain: d
descriptors:
  - key: plan
    value: gold
    rate_limit: {unit: Second, requests_per_unit: 10}
    descriptors:
      - key: user
        shadow_mode: true
        rate_limit: {unit: minute, requests_per_unit: 5, unit_multiplier: 3}
  - key: plan
    value: go*
    rate_limit: {unit: hour, requests_per_unit: 3}
  - key: plan
    value: gol*
    rate_limit: {unit: hour, requests_per_unit: 4}
  - key: plan
    rate_limit: {unit: day, requests_per_unit: 2}
  - key: free
    rate_limit: {unlimited: true}
  - key: any*
    rate_limit: {unit: week, requests_per_unit: 7}
  - key: files
    value: files/*
    share_threshold: true
    value_to_metric: true
    descriptors:
      - key: method
        detailed_metric: true
        rate_limit: {unit: year, requests_per_unit: 1}
  - key: route
    value_to_metric: true
    descriptors:
      - key: verb
        value: read*
        rate_limit: {unit: month, requests_per_unit: 9}
`

func TestFind(t *testing.T) {
	s := compile(t, treeYAML)
	f := func(descriptor, want string) {
		t.Helper()
		if got := said(&ask(t, s, "d", descriptor)[0]); got != want {
			t.Errorf("%s:\n got %s\nwant %s", descriptor, got, want)
		}
	}
	f("plan=gold", "d.plan_gold 10/1s plan=gold")
	f("plan=gold,user=u", "d.plan_gold.user 5/3m0s plan=gold|user=u shadow")
	f("plan=golden", "d.plan_go* 3/1h0m0s plan=golden") // the first wildcard of the file
	f("plan=silver", "d.plan 2/24h0m0s plan=silver")
	f("plan=", "d.plan 2/24h0m0s plan=")
	f("plan=silver,user=u", "-") // deeper than the configuration
	f("plan=golden,user=u", "-") // nothing is tried again
	f("free=x", "d.free unlimited")
	f("anything=x", "d.any* 7/168h0m0s anything=x")
	f("other=x", "-")
	f("files=files/a,method=GET", "d.files_files/*.method 1/8760h0m0s files=files/*|method=GET as d.files_files/.method_GET")
	f("files=files/b,method=GET", "d.files_files/*.method 1/8760h0m0s files=files/*|method=GET as d.files_files/.method_GET")
	f("files=files/b", "-")
	f("route=api,verb=reads", "d.route.verb_read* 9/720h0m0s route=api|verb=reads as d.route_api.verb_read*")
	f(`route=a\|b`, "-")
	if m := ask(t, s, "unknown", "plan=gold")[0]; m.Rule != nil {
		t.Error("an unknown domain has a limit")
	}
	if s.Domains() != 1 || len(s.Rules()) != 9 {
		t.Errorf("%s; want 9 in 1", s)
	}
}

func TestKeysAreApart(t *testing.T) {
	s := compile(t, "domain: d\ndescriptors:\n- key: a\n  descriptors:\n  - key: b\n    rate_limit: {unit: second, requests_per_unit: 1}\n")
	seen := map[mesh.QuotaID]string{}
	for _, d := range []string{"a=,b=", "a=1,b=2", "a=1|b,b=2", `a=1\,b=2`, `a=1\|b,b=`, "a=1|,b=2", "a==,b=", "a=,b=="} {
		m := ask(t, s, "d", d)[0]
		if other, ok := seen[m.Quota.ID]; ok {
			t.Errorf("%q and %q are counted together", other, d)
		}
		seen[m.Quota.ID] = d
	}
}

func TestReplaces(t *testing.T) {
	s := compile(t, `
domain: d
descriptors:
  - {key: a, rate_limit: {name: la, unit: second, requests_per_unit: 1}}
  - {key: b, rate_limit: {name: lb, unit: second, requests_per_unit: 2, replaces: [{name: la}]}}
  - {key: c, rate_limit: {unlimited: true, replaces: [{name: lb}]}}
`)
	f := func(want string, descriptors ...string) {
		t.Helper()
		var got []string
		for _, m := range ask(t, s, "d", descriptors...) {
			if m.Rule == nil {
				got = append(got, "-")
			} else {
				got = append(got, m.Rule.Path)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q; want %q", descriptors, got, want)
		}
	}
	f("d.a", "a=x")
	f("- d.b", "a=x", "b=x")
	f("d.b -", "b=x", "a=x")
	f("d.a d.c", "a=x", "c=x")
	f("- - d.c", "a=x", "b=x", "c=x") // whether b applies or not, it replaces a
}

func TestOverride(t *testing.T) {
	s := compile(t, treeYAML)
	r := &mesh.LimitRequest{Domain: "d", Matches: make([]mesh.LimitMatch, 1), Descriptors: []mesh.Descriptor{descriptor("plan=gold,x=y")}}
	r.Descriptors[0].Override = mesh.LimitOverride{Requests: 7, Unit: mesh.UnitMinute}
	if err := s.FindLimits(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got, want := said(&r.Matches[0]), "d.override 7/1m0s plan=gold|x=y"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	r.Domain = "unknown"
	if err := s.FindLimits(t.Context(), r); err != nil || r.Matches[0].Rule != nil {
		t.Errorf("an unknown domain has a limit, or %v", err)
	}
	r.Domain, r.Descriptors[0].Override.Multiplier = "d", 1<<32-1
	var bad *mesh.LimitRequestError
	for u := mesh.UnitMinute; u <= mesh.UnitWeek; u++ {
		r.Descriptors[0].Override.Unit = u
		if err := s.FindLimits(t.Context(), r); !errors.As(err, &bad) {
			t.Errorf("%d times a %s is taken for a period: %v", uint32(1<<32-1), u, err)
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	f := func(r mesh.LimitRequest, want string) {
		t.Helper()
		var bad *mesh.LimitRequestError
		r.Matches = make([]mesh.LimitMatch, len(r.Descriptors))
		if err := new(Set).FindLimits(t.Context(), &r); !errors.As(err, &bad) || err.Error() != want {
			t.Errorf("got %v; want %s", err, want)
		}
	}
	f(mesh.LimitRequest{Descriptors: []mesh.Descriptor{{}}}, "rate limit domain must not be empty")
	f(mesh.LimitRequest{Domain: "d"}, "rate limit descriptor list must not be empty")
}

func TestFindAllocates(t *testing.T) {
	s := compile(t, treeYAML)
	r := &mesh.LimitRequest{Domain: "d", Matches: make([]mesh.LimitMatch, 4), Descriptors: []mesh.Descriptor{
		descriptor("plan=gold,user=someone"), descriptor("files=files/a,method=GET"), descriptor("plan=silver"), descriptor("none=x"),
	}}
	find := func() {
		if err := s.FindLimits(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	find()
	if n := testing.AllocsPerRun(100, find); n != 0 {
		t.Errorf("%v allocations; want 0", n)
	}
}

func BenchmarkFind(b *testing.B) {
	s := compile(b, treeYAML)
	r := &mesh.LimitRequest{Domain: "d", Matches: make([]mesh.LimitMatch, 1), Descriptors: []mesh.Descriptor{descriptor("plan=gold,user=someone")}}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.FindLimits(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

func TestUnits(t *testing.T) {
	f := func(unit string, want time.Duration) {
		t.Helper()
		s := compile(t, "domain: d\ndescriptors:\n- key: k\n  rate_limit: {unit: "+unit+", requests_per_unit: 1}\n")
		if got := ask(t, s, "d", "k=v")[0].Quota.Per; got != want {
			t.Errorf("%s is %s; want %s", unit, got, want)
		}
	}
	day := 24 * time.Hour
	f("second", time.Second)
	f("MINUTE", time.Minute)
	f("Hour", time.Hour)
	f("day", day)
	f("week", 7*day)
	f("month", 30*day)
	f("year", 365*day)
}
