package policy

import "testing"

// A denial is found long after the last decisions have gone on, and the state
// counts it under its rule.
func TestState(t *testing.T) {
	var denied string
	_, d, _ := logged(t, func(c *Config) {
		c.DecisionLog.Sinks = nil
		c.DecisionLog.Keep = 10
	}, func(d *Decider) {
		denied = decide(t, d, input(t, `{"user": "bob"}`)).ID
		for range 50 {
			decide(t, d, input(t, `{"user": "alice"}`))
		}
	})
	if r, ok := d.FindDecision(denied); !ok || r.Verdict != "deny" || r.Rule != "authz/allow" {
		t.Errorf("the denial: %+v, %v", r, ok)
	}
	if _, ok := d.FindDecision(""); ok {
		t.Error("a decision without an ID is found")
	}
	s := d.State()
	if s.Generation != 1 || len(s.Denials) != 1 || s.Denials[0].ID != denied || s.Shadow != "" {
		t.Errorf("%+v", s)
	}
	if s.Cache.Hits != 49 || s.Cache.Misses != 2 || s.Cache.Entries != 2 || !s.Cache.Enabled {
		t.Errorf("cache: %+v", s.Cache)
	}
	if len(s.Entrypoints) != 1 || s.Entrypoints[0].Name != "default" || s.Entrypoints[0].Allowed != 50 || s.Entrypoints[0].Denied != 1 ||
		len(s.Entrypoints[0].Paths) != 1 || s.Entrypoints[0].Paths[0] != "input.user" {
		t.Errorf("entrypoints: %+v", s.Entrypoints)
	}
	if len(s.Rules) != 2 || s.Rules[0].Count != 50 || s.Rules[0].Verdict != "allow" {
		t.Errorf("rules: %+v", s.Rules)
	}
}
