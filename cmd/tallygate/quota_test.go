package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/internal/fleet"
	"github.com/tallygate/tallygate/mesh"
	"github.com/tallygate/tallygate/policy/quota"
)

// limitedPolicy allows everybody, three times an hour, and shows quotas of every
// kind.
const limitedPolicy = `package envoy.authz

user := input.attributes.request.http.headers["x-user"]

allow := {"allowed": true, "quotas": [
	{"name": "per-user", "key": user, "limit": 3, "per": "1h"},
	{"name": "all", "limit": 1000, "per": "1s", "burst": 2000, "cost": 2, "algorithm": "gcra", "on_error": "deny", "sync": true},
	{"name": "watched", "limit": 2, "per": "24h", "algorithm": "fixed_window", "shadow": true},
]}
`

func limitedPolicyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "limited.rego")
	if err := os.WriteFile(path, []byte(limitedPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPolicyEvalShowsQuotas(t *testing.T) {
	out, err := command(t, "policy", "eval", limitedPolicyFile(t), "-H", "x-user=alice").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`per-user for "alice": 3 per 1h0m0s, this request costs 1`,
		`all for "": 1000 per 1s, burst 2000, this request costs 2, on error deny, sync`,
		`watched for "": 2 per 24h0m0s, this request costs 1, fixed_window, shadow`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestQuotas: what a policy names is charged, shown, reset, and there after a
// restart.
func TestQuotas(t *testing.T) {
	snapshot := filepath.Join(t.TempDir(), "quotas")
	yaml := withPolicy(limitedPolicyFile(t)) + fmt.Sprintf("quota: {local: {snapshot_file: %q}}\n", snapshot)
	p := startProc(t, yaml)
	p.until("a policy is active", func() bool { _, ok := p.policing.decider.Revision(); return ok })
	ask := func(p *proc, user string) int {
		t.Helper()
		resp, err := p.checks(t).Check(t.Context(), requestOf(user))
		if err != nil {
			t.Fatal(err)
		}
		if resp.GetStatus().GetCode() == 0 {
			return 200
		}
		return int(resp.GetDeniedResponse().GetStatus().GetCode())
	}
	for i, want := range []int{200, 200, 200, 429, 429} {
		if got := ask(p, "alice"); got != want {
			t.Errorf("request %d: %d; want %d", i, got, want)
		}
	}
	if n := p.own(`tallygate_policy_quota_denials_total`); n != 2 {
		t.Errorf("%v denials by quota; want 2", n)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	quota := func(want string, args ...string) {
		t.Helper()
		args = append(append([]string{"quota"}, args...), "--server", p.admin.Addr().String(), "--token-file", token)
		out, err := command(t, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v\n%s\nwant %q", args, err, out, want)
		}
	}
	quota("per-user  3/1h                1     1     3       2", "list")
	quota("all       1000/1s burst 2000  0     0     3       0", "list")
	quota("watched   2/1d fixed_window", "list")
	quota(`per-user  "alice"  3/1h               100 %  0`, "top", "--by", "used")
	quota(`per-user  "alice"  3/1h   100 %  0`, "get", "per-user", "alice")
	quota(`"over": 2`, "get", "per-user", "alice", "-o", "json")
	quota("a request that costs 1 is refused", "explain", "per-user", "alice")
	quota("was full already", "reset", "per-user", "bob")
	quota("is full again", "reset", "per-user", "alice")
	quota("No key has used anything", "get", "per-user", "alice")
	out, err := command(t, "quota", "top", "--by", "size", "--server", p.admin.Addr().String(), "--token-file", token).CombinedOutput()
	if exitCode(err) != exitUsage || !strings.Contains(string(out), `"size" is none of`) {
		t.Errorf("%v\n%s", err, out)
	}
	for range 3 {
		ask(p, "bob")
	}
	p.cancel()
	if err := p.ended(); err != nil {
		t.Fatal(err)
	}
	p = startProc(t, yaml)
	p.until("a policy is active", func() bool { _, ok := p.policing.decider.Revision(); return ok })
	if got := ask(p, "bob"); got != 429 {
		t.Errorf("after a restart: %d; want 429", got)
	}
	if got := ask(p, "alice"); got != 200 {
		t.Errorf("after a restart, one who was reset: %d; want 200", got)
	}
}

// chargeOnce gives the metrics of quotas a key to show.
func chargeOnce(t *testing.T, l mesh.Limiter) {
	t.Helper()
	q := mesh.Quota{Name: "q", Key: "k", Limit: 1, Per: time.Hour, Cost: 1}
	q.Identify(nil)
	if v := l.Charge(t.Context(), []mesh.Quota{q}, make([]mesh.QuotaResult, 1), mesh.ChargeAll); v.Over {
		t.Errorf("the first charge: %+v", v)
	}
}

func TestPrintQuotas(t *testing.T) {
	var out bytes.Buffer
	printQuotas(&out, []fleet.Of[[]quota.View]{
		{Replica: "a:9464", Answer: []quota.View{{Name: "per-user", Limits: []quota.LimitView{{Limit: 100, Per: "1m", Burst: 200, Algorithm: "gcra"}, {Limit: 10, Per: "1s", Burst: 10, Algorithm: "fixed_window"}}, Keys: 3, Near: 1, Passed: 7, Over: 2}}},
		{Replica: "b:9464", Answer: []quota.View{{Name: "all", Limits: []quota.LimitView{{Limit: 10, Per: "1s", Burst: 10, Algorithm: "fixed_window"}}}}},
	})
	want := `INSTANCE  QUOTA     LIMIT                        KEYS  NEAR  PASSED  OVER  SHADOW OVER  OVERFLOW  FAILED
a:9464    per-user  100/1m burst 200 and 1 more  3     1     7       2     0            0         0
b:9464    all       10/1s fixed_window           0     0     0       0     0            0         0
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	printKeys(&out, nil, []fleet.Of[[]quota.KeyView]{{Replica: "a:9464", Answer: []quota.KeyView{
		{Name: "per-user", Key: "al\nice", LimitView: quota.LimitView{Limit: 100, Per: "1m", Burst: 100, Algorithm: "gcra"}, Used: 0.955, Remaining: 4, Reset: "57s", Charges: 96, Over: 1,
			Lease: &quota.Lease{Left: 3, Ends: "80ms"}},
	}}})
	want = `INSTANCE  QUOTA     KEY        LIMIT   USED  LEFT  FULL IN  CHARGES  OVER  LEASE
a:9464    per-user  "al\nice"  100/1m  96 %  4     57s      96       1     3 for 80ms
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
