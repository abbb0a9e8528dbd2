package policy

import (
	"testing"
	"time"
)

func TestExplain(t *testing.T) {
	cfg := DefaultConfig()
	f := func(change func(*fake), user string, wantAllowed bool, wantKept time.Duration, wantNotKept string) {
		t.Helper()
		rules := allowAlice()
		rules.shape.Reason = "x.rego:1"
		change(rules)
		e, err := Explain(t.Context(), rules, "", input(t, `{"user": %q}`, user), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if e.Verdict.Allowed != wantAllowed || e.KeptFor != wantKept || e.NotKept != wantNotKept || (e.Key == nil) != (wantKept == 0) && wantNotKept == "" {
			t.Errorf("%s: %+v", user, e)
		}
	}
	f(func(*fake) {}, "alice", true, time.Minute, "")
	f(func(*fake) {}, "bob", false, 10*time.Second, "")
	f(func(r *fake) { r.shape.Cacheable = false }, "alice", true, 0, "x.rego:1")
	f(func(r *fake) { r.shape.NeedsTTL = true }, "alice", true, 0, "no TTL is stated, but it rests on x.rego:1")
	cfg.Cache.MaxKeyBytes = 5
	f(func(*fake) {}, "alice", true, 0, "the key is longer than 5 bytes")
	cfg.Cache.Enabled = false
	f(func(*fake) {}, "alice", true, 0, "the cache is off")
	if _, err := Explain(t.Context(), allowAlice(), "none", input(t, "{}"), cfg); err == nil {
		t.Error("an unknown entrypoint was accepted")
	}
}
