package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
)

const limitsPolicy = `package envoy.limits

default limit := true

limit := {"allowed": true, "quotas": [{"name": "per-user", "key": input.descriptor.user, "limit": 2, "per": "2h", "algorithm": "fixed_window"}]} if {
	input.domain == "envoy"
	input.descriptor.user != "mallory"
}

limit := {"allowed": false} if input.entries[0].value == "mallory"
`

// TestLimitsOfPolicy: a policy names the quota of each descriptor, from the cache
// from the second time on, and is not charged for them itself.
func TestLimitsOfPolicy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.rego")
	if err := os.WriteFile(path, []byte(limitsPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProc(t, fmt.Sprintf("policy: {paths: [%q], entrypoint: envoy/limits/limit, entrypoints: {limits: envoy/limits/limit}}\n"+
		"ratelimit: {entrypoint: limits}\ningest: {ratelimit: {timeout: 5s}}\n", path))
	p.until("a policy is active", func() bool { _, ok := p.policing.decider.Revision(); return ok })
	c, _ := p.limits(t)
	ask := func(want string, key string, users ...string) {
		t.Helper()
		req := &rlsv3.RateLimitRequest{Domain: "envoy"}
		for _, u := range users {
			req.Descriptors = append(req.Descriptors, &commonv3.RateLimitDescriptor{Entries: []*commonv3.RateLimitDescriptor_Entry{{Key: key, Value: u}}})
		}
		resp, err := c.ShouldRateLimit(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		got := resp.OverallCode.String()
		for _, s := range resp.Statuses {
			l := s.GetCurrentLimit()
			got += fmt.Sprintf(" %s %d/%d%s %d", s.Code, l.GetRequestsPerUnit(), l.GetUnitMultiplier().GetValue(), l.GetUnit(), s.LimitRemaining)
		}
		if got != want {
			t.Errorf("%q: got %s; want %s", users, got, want)
		}
	}
	ask("OK OK 2/2HOUR 1 OK 2/2HOUR 1", "user", "alice", "bob")
	ask("OK OK 2/2HOUR 0", "user", "alice")
	ask("OVER_LIMIT OVER_LIMIT 2/2HOUR 0 OK 2/2HOUR 0", "user", "alice", "bob")
	ask("OVER_LIMIT OVER_LIMIT 0/0UNKNOWN 0", "user", "mallory")
	ask("OK OK 0/0UNKNOWN 0", "other", "alice")
	_, body := p.get(p.adminURL("/metrics"))
	if n := sum(body, `tallygate_policy_cache_requests_total\{reason="",result="hit"\}`); n != 3 {
		t.Errorf("%v decisions from the cache; want 3", n)
	}
	if n := sum(body, `tallygate_ratelimit_limit_hits_total\{limit="per-user",result="within"\}`); n != 4 {
		t.Errorf("%v hits within; want 4", n)
	}
}
