package opa

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

func TestQuotas(t *testing.T) {
	f := func(quotas string, want ...mesh.Quota) {
		t.Helper()
		for i := range want {
			want[i].Identify(nil)
		}
		res := evaluate(t, compile(t, "package p\n\nallow := {\"allowed\": true, \"quotas\": "+quotas+"}"), "{}")
		if got := res.Verdict.Quotas; !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", quotas, got, want)
		}
	}
	f(`[]`)
	f(`[{"name": "all", "limit": 5, "per": "1s"}]`, mesh.Quota{Name: "all", Limit: 5, Per: time.Second, Cost: 1})
	f(`[{"name": "per-user", "key": "alice", "limit": 100, "per": "1m", "burst": 200, "cost": 3, "on_error": "deny", "sync": true}]`,
		mesh.Quota{Name: "per-user", Key: "alice", Limit: 100, Per: time.Minute, Burst: 200, Cost: 3, OnError: mesh.QuotaErrorDeny, Sync: true})
	f(`[{"name": "a", "key": ["x", 1, true], "limit": 1e3, "per": "30d", "algorithm": "fixed_window", "cost": 0},
	    {"name": "b", "key": 7, "limit": 1, "per": "1.5s", "shadow": true, "on_error": "allow"}]`,
		mesh.Quota{Name: "a", Key: `["x", 1, true]`, Limit: 1000, Per: 720 * time.Hour, Algorithm: mesh.FixedWindow},
		mesh.Quota{Name: "b", Key: "7", Limit: 1, Per: 1500 * time.Millisecond, Cost: 1, Shadow: true, OnError: mesh.QuotaErrorAllow})
}

// TestQuotaTiers: the limit is data, the cost comes from the request.
func TestQuotaTiers(t *testing.T) {
	g := compile(t, `package p

plans := {"free": 10, "paid": 1000}

allow := {"allowed": true, "quotas": [{
	"name": "calls", "key": input.user, "limit": plans[input.plan], "per": "1h",
	"cost": ceil(input.size / 1024),
}]}`)
	f := func(input string, limit, cost uint64) {
		t.Helper()
		q := evaluate(t, g, input).Verdict.Quotas[0]
		if q.Limit != limit || q.Cost != cost {
			t.Errorf("%s: limit %d, cost %d; want %d, %d", input, q.Limit, q.Cost, limit, cost)
		}
	}
	f(`{"user": "a", "plan": "free", "size": 1}`, 10, 1)
	f(`{"user": "a", "plan": "paid", "size": 5000}`, 1000, 5)
}

func TestQuotasRefused(t *testing.T) {
	f := func(field, value, want string) {
		t.Helper()
		q := map[string]string{"name": `"n"`, "limit": "1", "per": `"1s"`}
		q[field] = value
		if value == "" {
			delete(q, field)
		}
		var fields []string
		for k, v := range q {
			fields = append(fields, fmt.Sprintf("%q: %s", k, v))
		}
		refused(t, `"quotas": [{`+strings.Join(fields, ", ")+`}]`, want)
	}
	f("limit", "", `quotas: element 0 ("n"): has no limit`)
	f("name", "", `element 0: has no name`)
	f("name", `"a b"`, `name: is "a b"; it may have letters`)
	f("name", `""`, `name: is 0 bytes long`)
	f("name", "1", `name: is a value of type number, not a string`)
	f("key", "{}", `key: is a value of type object, not a string`)
	f("key", "[[1]]", `key: element 0 is a value of type array`)
	f("limit", "0", `limit is 0, not between 1 and`)
	f("limit", "-1", `limit: is -1, not a whole number`)
	f("limit", "1.5", `limit: is 1.5, not a whole number`)
	f("limit", `"5"`, `limit: is a value of type string, not a whole number`)
	f("limit", "1e30", `limit: is 1e30, not a whole number`)
	f("per", `"1 second"`, `per: is "1 second", not a duration, as "1s"`)
	f("per", `60`, `per: is a value of type number, not a duration`)
	f("per", `"-1s"`, `per: is "-1s", not a duration`)
	f("per", `"1us"`, `per is 1µs, not between 1ms and`)
	f("per", `"9999d"`, `per is 239976h0m0s, not between`)
	f("burst", "0", `burst: is 0; leave it out`)
	f("burst", "1000000000000", `it takes more than ten years to fill`)
	f("cost", "0.5", `cost: is 0.5, not a whole number; see ceil()`)
	f("algorithm", `"leaky"`, `algorithm: is "leaky", none of gcra, fixed_window`)
	f("on_error", `"open"`, `on_error: is "open", none of allow, deny, local`)
	f("sync", `1`, `sync: is a value of type number, not a boolean`)
	f("window", `1`, `has the unknown key "window"; there are name, key, limit`)
	refused(t, `"quotas": {}`, `quotas: is a value of type object, not an array of quotas`)
	refused(t, `"quotas": ["a"]`, `quotas: element 0: is a value of type string, not an object`)
	refused(t, `"quotas": [{"name": "n", "limit": 1, "per": "1s", "algorithm": "fixed_window", "burst": 2}]`, `burst is for gcra`)
	refused(t, `"quotas": [{"name": "n", "limit": i, "per": "1s"} | some i in numbers.range(1, 17)]`, `has 17 elements; a decision may name 16`)
	refused(t, `"quota_denied": "no"`, `quota_denied: is a value of type string, not an object`)
	refused(t, `"quota_denied": {"text": "no"}`, `quota_denied: unknown key "text"`)
	refused(t, `"quota_denied": {"http_status": 200}`, `http_status: is 200, not the status of an error`)
}

// refused wants an error that names the rule's file and line.
func refused(t *testing.T, fields, want string) {
	t.Helper()
	g := compile(t, "package p\n\nallow := {\"allowed\": true, "+fields+"}")
	_, err := g.Evaluate(context.Background(), "", newRequest(t, "{}"))
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "p.rego:3: the result of data.p.allow: ") {
		t.Errorf("%s:\n got %v\nwant %q", fields, err, want)
	}
}
