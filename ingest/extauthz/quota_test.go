package extauthz

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/grpc/codes"
)

// charged gives a verdict with what became of its quotas.
func charged(v *mesh.Verdict, over bool, results ...mesh.QuotaResult) mesh.Decider {
	return deciderFunc(func(_ context.Context, q *mesh.Query) (mesh.Decision, error) {
		d := mesh.Decision{Verdict: v, ID: "id", Charges: append(q.Charges[:0], results...)}
		d.Charge = mesh.QuotaVerdict{Over: over, Strictest: len(results) - 1}
		return d, nil
	})
}

func limited() *mesh.Verdict {
	return &mesh.Verdict{
		Allowed: true, Rule: "r", ResponseHeaders: []mesh.Header{{Name: "x-plan", Value: "free"}},
		Quotas: []mesh.Quota{{Name: "per-user", Limit: 100, Per: time.Minute}},
	}
}

var (
	within = mesh.QuotaResult{Limit: 100, Remaining: 41, Reset: 1500 * time.Millisecond}
	over   = mesh.QuotaResult{Over: true, Limit: 100, Reset: time.Minute, RetryAfter: 200 * time.Millisecond}
)

func headersOf(list []*corev3.HeaderValueOption) map[string]string {
	m := map[string]string{}
	for _, h := range list {
		m[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
	}
	return m
}

// wantHeaders compares the headers that quotas are about, and x-plan.
func wantHeaders(t *testing.T, got, want map[string]string) {
	t.Helper()
	for _, name := range []string{"retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "grpc-status", "grpc-message", "x-plan", "x-why"} {
		if got[name] != want[name] {
			t.Errorf("header %s: %q; want %q", name, got[name], want[name])
		}
	}
}

func askOnce(t *testing.T, d mesh.Decider, req *authv3.CheckRequest, change func(*Config)) *authv3.CheckResponse {
	t.Helper()
	s, _ := newTestServer(t, d, change)
	resp, err := dial(t, s).Check(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestQuotaAllowed(t *testing.T) {
	f := func(change func(*Config), want map[string]string) {
		t.Helper()
		resp := askOnce(t, charged(limited(), false, within), sampleRequest(1), change)
		if resp.GetStatus().GetCode() != 0 || resp.GetOkResponse() == nil {
			t.Fatalf("got %v; want it allowed", resp)
		}
		wantHeaders(t, headersOf(resp.GetOkResponse().GetResponseHeadersToAdd()), want)
		fields := resp.GetDynamicMetadata().GetFields()
		if fields["quota"].GetStringValue() != "per-user" || fields["quota_over"] != nil || fields["decision_id"].GetStringValue() != "id" || fields["policy_rule"].GetStringValue() != "r" {
			t.Errorf("metadata %v", fields)
		}
	}
	f(nil, map[string]string{
		"x-plan": "free", "x-ratelimit-limit": "100, 100;w=60", "x-ratelimit-remaining": "41", "x-ratelimit-reset": "2",
	})
	f(func(c *Config) { c.QuotaHeaders = QuotaHeadersDenied }, map[string]string{"x-plan": "free"})
}

func TestQuotaDenied(t *testing.T) {
	v := limited()
	f := func(result mesh.QuotaResult, req *authv3.CheckRequest, change func(*Config), status int32, body string, want map[string]string) {
		t.Helper()
		resp := askOnce(t, charged(v, true, result), req, change)
		denied := resp.GetDeniedResponse()
		if resp.GetStatus().GetCode() != int32(codes.ResourceExhausted) || int32(denied.GetStatus().GetCode()) != status || denied.GetBody() != body {
			t.Errorf("got %v", resp)
		}
		wantHeaders(t, headersOf(denied.GetHeaders()), want)
		fields := resp.GetDynamicMetadata().GetFields()
		if fields["quota"].GetStringValue() != "per-user" || !fields["quota_over"].GetBoolValue() {
			t.Errorf("metadata %v", fields)
		}
	}
	limits := map[string]string{"retry-after": "1", "x-ratelimit-limit": "100, 100;w=60", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "60"}
	plus := func(more map[string]string) map[string]string {
		m := map[string]string{}
		for _, from := range []map[string]string{limits, more} {
			for k, v := range from {
				m[k] = v
			}
		}
		return m
	}
	grpc := sampleRequest(1)
	grpc.Attributes.Request.Http.Headers["content-type"] = "application/grpc+proto"

	f(over, sampleRequest(1), nil, 429, "", limits)
	f(over, grpc, nil, 429, "", plus(map[string]string{"grpc-status": "8", "grpc-message": "quota per-user is used up"}))
	f(over, grpc, func(c *Config) { c.QuotaBody = "später: 100 %\n" }, 429, "später: 100 %\n", plus(map[string]string{"grpc-status": "8", "grpc-message": "sp%C3%A4ter: 100 %25"}))
	f(over, sampleRequest(1), func(c *Config) { c.QuotaHeaders, c.QuotaBody = QuotaHeadersNever, "later" }, 429, "later", map[string]string{"retry-after": "1"})
	never := over
	never.RetryAfter = mesh.Never
	f(never, sampleRequest(1), func(c *Config) { c.QuotaHeaders = QuotaHeadersNever }, 429, "", nil)
	v.QuotaDenial = mesh.QuotaDenial{Status: 503, Body: "slow down", Headers: []mesh.Header{{Name: "x-why", Value: "plan"}, {Name: "bad name", Value: "x"}}}
	f(over, sampleRequest(1), func(c *Config) { c.QuotaBody = "later" }, 503, "slow down", plus(map[string]string{"x-why": "plan"}))

	if resp := askOnce(t, charged(v, true, over), tcpRequest(), nil); resp.GetStatus().GetCode() != int32(codes.ResourceExhausted) || resp.GetHttpResponse() != nil {
		t.Errorf("TCP: %v", resp)
	}
}

func TestQuotaOutcome(t *testing.T) {
	s, reg := newTestServer(t, charged(limited(), true, over), nil)
	if _, err := dial(t, s).Check(t.Context(), sampleRequest(1)); err != nil {
		t.Fatal(err)
	}
	if n := ingesttest.Metric(t, reg, "tallygate_extauthz_checks_total", "ext_authz_http", "quota"); n != 1 {
		t.Errorf("%v checks with outcome quota; want 1", n)
	}
}

func TestQuotaForward(t *testing.T) {
	f := func(d mesh.Decider, mode Mode, status int, want map[string]string) *httptest.ResponseRecorder {
		t.Helper()
		h, _ := newTestForward(t, d, func(c *ForwardConfig) { c.Mode = mode })
		r := httptest.NewRequest(http.MethodGet, "/auth", nil)
		for _, name := range []string{"X-Original-Method", "X-Forwarded-Method"} {
			r.Header.Set(name, "GET")
		}
		for _, name := range []string{"X-Original-URI", "X-Original-URL", "X-Forwarded-Uri"} {
			r.Header.Set(name, "/")
		}
		r.Header.Set("X-Forwarded-Host", "a")
		r.Header.Set("X-Forwarded-Proto", "http")
		r.Header.Set("X-Forwarded-For", "10.0.0.9")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%s: status %d; want %d", mode, w.Code, status)
		}
		for name, value := range want {
			if w.Header().Get(name) != value {
				t.Errorf("%s: header %s is %q; want %q", mode, name, w.Header().Get(name), value)
			}
		}
		return w
	}
	limits := map[string]string{"x-ratelimit-limit": "100, 100;w=60", "x-ratelimit-remaining": "41", "x-ratelimit-reset": "2", "x-plan": "free"}
	f(charged(limited(), false, within), ModeTraefik, 200, limits)
	v := limited()
	v.QuotaDenial.Headers = []mesh.Header{{Name: "x-why", Value: "plan"}, {Name: "content-length", Value: "9"}}
	v.QuotaDenial.Body = "slow down"
	if w := f(charged(v, true, over), ModeTraefik, 429, map[string]string{"retry-after": "1", "x-why": "plan"}); w.Body.String() != "slow down" {
		t.Errorf("body %q", w.Body)
	}
	f(charged(v, true, over), ModeNginx, 403, map[string]string{"retry-after": "1", "X-Tallygate-Status": "429"})
}
