package policy

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy/quota"
)

// limited allows alice with quotas, and denies everybody else with the same.
func limited(quotas ...mesh.Quota) *fake {
	for i := range quotas {
		quotas[i].Identify(nil)
	}
	f := allowAlice()
	plain := f.evaluate
	f.evaluate = func(ctx context.Context, entrypoint string, r mesh.Request) (Result, error) {
		res, err := plain(ctx, entrypoint, r)
		res.Verdict.Quotas = quotas
		return res, err
	}
	return f
}

func newLimitedDecider(t testing.TB) *Decider {
	t.Helper()
	reg := prometheus.NewRegistry()
	l, err := quota.New(quota.DefaultConfig(), quota.Options{Metrics: reg, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(1e9, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(DefaultConfig(), Options{Metrics: reg, Log: slog.New(slog.DiscardHandler), Quotas: l})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestQuotasAreChargedOnHitsToo(t *testing.T) {
	d := newLimitedDecider(t)
	d.Activate(limited(
		mesh.Quota{Name: "user", Key: "alice", Limit: 3, Per: time.Second, Cost: 1},
		mesh.Quota{Name: "watched", Key: "alice", Limit: 1, Per: time.Second, Cost: 1, Shadow: true}))
	ask := func(user string) mesh.Decision {
		t.Helper()
		got, err := d.Decide(t.Context(), &mesh.Query{Request: input(t, `{"user": %q}`, user)})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for range 5 { // they cost nothing
		if got := ask("bob"); got.Permits() || len(got.Charges) != 0 {
			t.Fatalf("denied by policy: %+v; want it uncharged", got)
		}
	}
	for i := range 5 {
		got := ask("alice")
		if want := i < 3; got.Permits() != want || got.Hit != (i > 0) || !got.Allowed {
			t.Errorf("request %d: permitted %v, hit %v; want %v, %v", i, got.Permits(), got.Hit, want, i > 0)
		}
		if q, r := got.Strictest(); q.Name != "user" || r.Over != (i >= 3) {
			t.Errorf("request %d: strictest %+v %+v", i, q, r)
		}
	}
	d.log.flush(nil)
	log := d.LastDecisions()
	if r := log[0]; r.Verdict != "deny" || r.Quota != "user" || r.ShadowQuota != "watched" || r.Reason != "the quota is used up" {
		t.Errorf("log of a refused request: %+v", r)
	}
	if r := log[2]; r.Verdict != "allow" || r.Quota != "" || r.ShadowQuota != "watched" {
		t.Errorf("log of one that a shadow quota would have refused: %+v", r)
	}
	if line := string(log[0].appendLine(nil)); !strings.Contains(line, `"quota":"user","shadow_quota":"watched","cache_hit":true`) {
		t.Errorf("line %s", line)
	}
}

// TestQuotasWithoutLimiter: nothing is let through uncharged.
func TestQuotasWithoutLimiter(t *testing.T) {
	d, _ := newTestDecider(t, nil)
	d.Activate(limited(mesh.Quota{Name: "user", Limit: 3, Per: time.Second, Cost: 1}))
	if _, err := d.Decide(t.Context(), &mesh.Query{Request: input(t, `{"user": "alice"}`)}); err != ErrQuotas {
		t.Errorf("got %v; want %v", err, ErrQuotas)
	}
}

func TestChargeAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget at random under the race detector")
	}
	allocations := func(quotas ...mesh.Quota) float64 {
		d := newLimitedDecider(t)
		d.Activate(limited(quotas...))
		q := &mesh.Query{Request: input(t, `{"user": "alice"}`), Charges: make([]mesh.QuotaResult, 0, 3)}
		return testing.AllocsPerRun(1000, func() {
			if _, err := d.Decide(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		})
	}
	q := func(name string) mesh.Quota {
		return mesh.Quota{Name: name, Key: "k", Limit: 1 << 30, Per: time.Second, Cost: 1}
	}
	without, with := allocations(), allocations(q("a"), q("b"), q("c"))
	if with > without {
		t.Errorf("%v allocations with three quotas, %v without", with, without)
	}
}
