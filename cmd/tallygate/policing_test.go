package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tallygate/tallygate/internal/config"
)

const byUser = `package envoy.authz

default allow := false

allow if input.attributes.request.http.headers["x-user"] == %q
`

// policyFile writes a policy that allows one user.
func policyFile(t *testing.T, path, user string) {
	t.Helper()
	// Whole at once: it is watched.
	if err := os.WriteFile(path+".new", fmt.Appendf(nil, byUser, user), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func withPolicy(path string) string {
	return fmt.Sprintf("policy: {paths: [%q]}\n", path)
}

func (p *proc) checks(t *testing.T) authv3.AuthorizationClient {
	t.Helper()
	conn, err := grpc.NewClient(p.policing.listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return authv3.NewAuthorizationClient(conn)
}

func requestOf(user string) *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
		Method: "GET", Path: "/", Headers: map[string]string{"x-user": user},
	}}}}
}

// allows asks and reports whether user may pass.
func allows(t *testing.T, c authv3.AuthorizationClient, user string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testWait)
	defer cancel()
	resp, err := c.Check(ctx, requestOf(user))
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetStatus().GetCode() == 0
}

func TestServePolicy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.rego")
	policyFile(t, path, "alice")
	p := startProc(t, withPolicy(path))
	p.until("the policy is active", func() bool {
		code, body := p.get(p.adminURL("/readyz?verbose"))
		return code == 200 && strings.Contains(body, "[+] policy ok: revision ")
	})
	c := p.checks(t)
	for range 3 {
		if !allows(t, c, "alice") || allows(t, c, "bob") {
			t.Error("want alice to pass and bob not")
		}
	}
	_, body := p.get(p.adminURL("/metrics"))
	for _, want := range []string{
		`tallygate_policy_cache_requests_total{reason="",result="hit"} 4`,
		`tallygate_policy_decisions_total{entrypoint="default",rule="envoy.authz.allow`,
		`tallygate_extauthz_checks_total{`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in /metrics", want)
		}
	}
	if n := sum(body, `tallygate_policy_decisions_total`); n != 6 {
		t.Errorf("%v decisions; want 6", n)
	}
}

// TestPolicyReload: by the configuration; what does not compile is refused.
func TestPolicyReload(t *testing.T) {
	dir := t.TempDir()
	one, two, broken := filepath.Join(dir, "one.rego"), filepath.Join(dir, "two.rego"), filepath.Join(dir, "broken.rego")
	policyFile(t, one, "alice")
	policyFile(t, two, "bob")
	if err := os.WriteFile(broken, []byte("package envoy.authz\nallow if nonsense(1)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProc(t, withPolicy(one))
	c := p.checks(t)
	p.until("alice may pass", func() bool { return allows(t, c, "alice") })

	p.write(withPolicy(two))
	p.hup <- os.Interrupt
	p.until("bob may pass", func() bool { return allows(t, c, "bob") && !allows(t, c, "alice") })

	p.write(withPolicy(broken))
	p.hup <- os.Interrupt
	p.until("the reload is refused", func() bool { return strings.Contains(p.log.String(), "broken.rego:2") })
	if !allows(t, c, "bob") {
		t.Error("the last good policy is gone")
	}
	p.write("")
	p.hup <- os.Interrupt
	p.until("a restart is asked for", func() bool { return strings.Contains(p.log.String(), "needs restart: policy") })
}

// TestPolicyIsWatched: a file that changes is taken up; a broken one is not.
func TestPolicyIsWatched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.rego")
	policyFile(t, path, "alice")
	p := startProc(t, withPolicy(path), "policy.poll_interval=20ms")
	c := p.checks(t)
	p.until("alice may pass", func() bool { return allows(t, c, "alice") })
	policyFile(t, path, "bob")
	p.until("bob may pass", func() bool { return allows(t, c, "bob") && !allows(t, c, "alice") })
	if err := os.WriteFile(path, []byte("package envoy.authz\nallow if {"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.until("the broken one is refused", func() bool {
		_, body := p.get(p.adminURL("/metrics"))
		return sum(body, `tallygate_opa_refusals_total\{policy="enforced",source="files"`) > 0
	})
	if code, _ := p.get(p.adminURL("/readyz")); code != 200 || !allows(t, c, "bob") {
		t.Errorf("readyz %d; want the last good policy to stay", code)
	}
}

// TestServeShadow: the candidate judges too, and its differences are shown.
func TestServeShadow(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.rego"), filepath.Join(dir, "two.rego")
	policyFile(t, one, "alice")
	policyFile(t, two, "bob")
	p := startProc(t, withPolicy(one), "policy.shadow.share=1", "policy.shadow.paths=["+two+"]")
	c := p.checks(t)
	p.until("the candidate has denied alice", func() bool {
		allows(t, c, "alice")
		_, body := p.get(p.adminURL("/metrics"))
		return sum(body, `tallygate_policy_shadow_decisions_total\{enforced="allow",rule="[^"]*",shadow="deny"`) > 0
	})
	if code, body := p.get(p.adminURL("/api/v1/shadow")); code != 200 || !strings.Contains(body, `"enforced":"allow"`) || !strings.Contains(body, `"x-user":"alice"`) {
		t.Errorf("differences: %d %s", code, body)
	}
	p.until("the decisions are shown", func() bool {
		code, body := p.get(p.adminURL("/api/v1/decisions"))
		return code == 200 && strings.Contains(body, `"verdict":"allow"`)
	})
}

// TestNoPolicyYet: readiness says no, and the configured answer is given.
func TestNoPolicyYet(t *testing.T) {
	dir := t.TempDir()
	f := func(onError string, want bool) {
		t.Helper()
		p := startProc(t, withPolicy(filepath.Join(dir, "none.rego")), "ingest.extauthz.on_error="+onError)
		if got := allows(t, p.checks(t), "alice"); got != want {
			t.Errorf("on_error %s: %t", onError, got)
		}
		p.until("readiness says why", func() bool {
			code, body := p.get(p.adminURL("/readyz?verbose"))
			return code == 503 && strings.Contains(body, "[-] policy: ") && strings.Contains(body, "none.rego")
		})
	}
	f("deny", false)
	f("allow", true)
}

func TestPlanes(t *testing.T) {
	p := startProc(t, "")
	if p.policing != nil {
		t.Error("checks are answered without a policy section")
	}
	path := filepath.Join(t.TempDir(), "policy.rego")
	policyFile(t, path, "alice")
	p = startProc(t, withPolicy(path), "planes=[telemetry]")
	if p.policing != nil || p.als == nil {
		t.Error("planes: [telemetry] runs something else")
	}
	p = startProc(t, withPolicy(path), "planes=[policy]")
	if p.policing == nil || p.als != nil || p.metricsListener != nil {
		t.Error("planes: [policy] runs something else")
	}
	c := p.checks(t)
	p.until("alice may pass", func() bool { return allows(t, c, "alice") })
	if code, body := p.get(p.adminURL("/api/v1/proxies")); code != 200 {
		t.Errorf("proxies: %d %s", code, body)
	}
}

// TestNoFlags: everything is allowed, from the cache, and nobody but this
// machine can ask.
func TestNoFlags(t *testing.T) {
	cfg, err := loadConfig(t.Context(), config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if !cfg.RunsPolicy() || cfg.Ingest.ExtAuthz.Endpoint != "127.0.0.1:9191" {
		t.Errorf("%+v", cfg.Ingest.ExtAuthz.Endpoint)
	}
	g, err := compile(t.Context(), &cfg.Policy.Get().OPA)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rules{g}.Shape("")
	if err != nil || !s.Cacheable || len(s.Paths)+len(s.Kinds) > 0 {
		t.Errorf("%+v, %v", s, err)
	}
	p := startProc(t, "policy: {paths: ['builtin:permissive']}")
	c := p.checks(t)
	p.until("anybody may pass", func() bool { return allows(t, c, "anybody") })
}

// TestPolicyDrain: health says no, checks under way are answered.
func TestPolicyDrain(t *testing.T) {
	p := startProc(t, "policy: {paths: ['builtin:permissive']}\ndrain: {timeout: 10s}")
	c := p.checks(t)
	p.until("anybody may pass", func() bool { return allows(t, c, "anybody") })
	conn, err := grpc.NewClient(p.policing.listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	health := healthpb.NewHealthClient(conn)
	if r, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "envoy.service.auth.v3.Authorization"}); err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", r, err)
	}
	p.cancel()
	if err := p.ended(); err != nil {
		t.Error(err)
	}
}
