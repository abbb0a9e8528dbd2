package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
)

func TestPolicyCommandLine(t *testing.T) {
	dir := t.TempDir()
	good, clock, broken := filepath.Join(dir, "good.rego"), filepath.Join(dir, "clock.rego"), filepath.Join(dir, "broken.rego")
	misspelt := filepath.Join(dir, "misspelt.rego")
	input, cfg := filepath.Join(dir, "input.json"), filepath.Join(dir, "tallygate.yaml")
	policyFile(t, good, "alice")
	for name, text := range map[string]string{
		clock:    "package envoy.authz\nallow if time.now_ns() > 0\n",
		broken:   "package envoy.authz\nallow if nonsense(1)\n",
		misspelt: "package envoy.authz\nallow if data.isuer == input.version\n",
		input:    `{"attributes": {"request": {"http": {"headers": {"x-user": "alice"}}}}}`,
		cfg:      withPolicy(good),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := func(wantCode int, want string, args ...string) string {
		t.Helper()
		out, err := command(t, args...).CombinedOutput()
		if code := exitCode(err); code != wantCode || !strings.Contains(string(out), want) {
			t.Errorf("tallygate %s: exit code %d\n%s\nwant %d and %q", strings.Join(args, " "), code, out, wantCode, want)
		}
		return string(out)
	}
	f(0, "The policies are valid", "policy", "check", good)
	f(0, "The policies are valid", "policy", "check", "--strict", "--config", cfg)
	f(0, "clock.rego:2: entrypoint default: time.now_ns", "policy", "check", clock)
	f(3, "clock.rego:2", "policy", "check", "--strict", clock)
	f(0, "misspelt.rego:2: data.isuer is neither data nor a rule", "policy", "check", misspelt)
	f(2, "misspelt.rego:2: data.isuer is neither data nor a rule", "policy", "check", "--strict", misspelt)
	f(2, "broken.rego:2", "policy", "check", broken)
	f(2, "name policies", "policy", "check")
	f(2, "no policy section", "policy", "check", "--set", "log.level=info", "--config", "yaml:log: {level: info}")
	f(2, "there is no rule data.x.y", "policy", "check", "-e", "x/y", good)

	f(0, `reads  input.attributes.request.http.headers["x-user"]`, "policy", "deps", good)
	f(0, "decisions are cached", "policy", "deps", good)
	f(0, "decisions are not cached", "policy", "deps", clock)
	var shapes []deps
	if err := json.Unmarshal([]byte(f(0, "", "policy", "deps", good, "-o", "json")), &shapes); err != nil || len(shapes) != 1 || !shapes[0].Cacheable {
		t.Errorf("%+v, %v", shapes, err)
	}

	f(0, "ALLOWED by envoy.authz.allow", "policy", "eval", good, "-H", "x-user=alice")
	f(0, "ALLOWED by envoy.authz.allow", "policy", "eval", good, "-H", "X-User: alice")
	f(0, "kept for 1m0s", "policy", "eval", good, "-H", "x-user=alice")
	f(0, "ALLOWED", "policy", "eval", good, "--input", input)
	f(0, `"parsed_path": [
    "orders",
    "7"
  ]`, "policy", "eval", good, "--path", "/orders/7", "--show-input")
	f(3, "DENIED", "policy", "eval", good)
	f(3, "kept for 10s", "policy", "eval", good)
	f(0, "not kept: ", "policy", "eval", clock)
	f(2, "want name=value", "policy", "eval", good, "-H", "alice")
	f(2, "--source", "policy", "eval", good, "--source", "nowhere")
	f(2, "the path of the request", "policy", "eval", good, "--path", "/%zz")
	f(2, "no such entrypoint", "policy", "eval", good, "-n", "other")
	var e evaluation
	if err := json.Unmarshal([]byte(f(0, "", "policy", "eval", good, "-H", "x-user=alice", "-o", "json")), &e); err != nil || !e.Allowed || e.KeyBytes == 0 {
		t.Errorf("%+v, %v", e, err)
	}

	tests := filepath.Join(dir, "with_tests")
	if err := os.Mkdir(tests, 0o700); err != nil {
		t.Fatal(err)
	}
	policyFile(t, filepath.Join(tests, "p.rego"), "alice")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(tests, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("p_test.rego", "package envoy.authz_test\n\ntest_nobody if not data.envoy.authz.allow\n")
	f(0, "1 passed, 0 failed, 0 skipped", "policy", "test", tests)
	f(3, "", "policy", "test", tests, "--coverage", "101")
	f(0, `"passed": true`, "policy", "test", tests, "-o", "json")
	write("more_test.rego", "package envoy.more_test\n\ntest_nobody if data.envoy.authz.allow\n")
	f(3, "FAIL  envoy.more_test.test_nobody", "policy", "test", tests)
	f(0, "1 passed, 0 failed", "policy", "test", tests, "--run", "authz_test")

	f(1, "asking 127.0.0.1:1", "check", "--target", "127.0.0.1:1")
	f(2, "more than 0", "check", "-n", "0")
}

// TestPolicyDiff: what a decision log recorded is judged by two policies.
func TestPolicyDiff(t *testing.T) {
	dir := t.TempDir()
	one, two, log := filepath.Join(dir, "one.rego"), filepath.Join(dir, "two.rego"), filepath.Join(dir, "decisions.json")
	policyFile(t, one, "alice")
	policyFile(t, two, "bob")
	p := startProc(t, withPolicy(one), "policy.decision_log.sinks=['file:"+log+"']", "policy.decision_log.input_sample=1")
	c := p.checks(t)
	p.until("alice may pass", func() bool { return allows(t, c, "alice") })
	allows(t, c, "bob")
	allows(t, c, "carol")
	p.until("it is logged", func() bool {
		b, err := os.ReadFile(log)
		return err == nil && strings.Contains(string(b), "carol")
	})
	f := func(wantCode int, want []string, args ...string) {
		t.Helper()
		out, err := command(t, append([]string{"policy", "diff"}, args...)...).CombinedOutput()
		if code := exitCode(err); code != wantCode {
			t.Errorf("diff %q: exit code %d; want %d\n%s", args, code, wantCode, out)
		}
		for _, w := range want {
			if !strings.Contains(string(out), w) {
				t.Errorf("diff %q: no %q in\n%s", args, w, out)
			}
		}
	}
	f(3, []string{"allow→deny", "deny→allow", "requests judged by both"}, "--old", one, "--new", two, "--log", log)
	f(3, []string{`"change": "allow→deny"`}, "--old", one, "--new", two, "--log", log, "-o", "json")
	f(0, nil, "--old", one, "--new", one, "--log", log)
	f(2, []string{"are needed"}, "--old", one)
	f(1, []string{"line 1 of the log"}, "--old", one, "--new", two, "--log", one)
}

func TestCheckCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.rego")
	policyFile(t, path, "alice")
	p := startProc(t, withPolicy(path))
	c := p.checks(t)
	p.until("alice may pass", func() bool { return allows(t, c, "alice") })
	target := p.policing.listener.Addr().String()
	f := func(wantCode int, want string, args ...string) {
		t.Helper()
		out, err := command(t, append([]string{"check", "--target", target}, args...)...).CombinedOutput()
		if code := exitCode(err); code != wantCode || !strings.Contains(string(out), want) {
			t.Errorf("check %s: exit code %d\n%s\nwant %d and %q", strings.Join(args, " "), code, out, wantCode, want)
		}
	}
	f(0, "ALLOWED by envoy.authz.allow", "-H", "x-user=alice")
	f(3, "DENIED by envoy.authz.allow")
	f(0, "500 calls in ", "-n", "500", "-H", "x-user=alice", "--connections", "2", "--concurrency", "3")
	f(0, ", 20 denied;", "-n", "20")
}

func TestRequestFlags(t *testing.T) {
	f := requestFlags{method: "PUT", path: "/a?b=c", host: "h", source: "[::1]:5", destination: "10.0.0.1:80", principal: "spiffe://x", headers: []string{"A=b=c", "X-Y: z=1"}}
	m, err := f.request(time.Unix(1_700_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	h := m.Attributes.Request.Http
	if h.Headers["a"] != "b=c" || h.Headers["x-y"] != "z=1" || h.Headers[":method"] != "PUT" || m.Attributes.Source.Address.GetSocketAddress().Address != "::1" {
		t.Errorf("%v", m)
	}
	f.tcp = true
	if m, err = f.request(time.Unix(1_700_000_000, 0)); err != nil || m.Attributes.Request.Http != nil || proto.Size(m) == 0 {
		t.Errorf("%v, %v", m, err)
	}
}
