package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/internal/telemetry"
)

// limitsFile writes a limit per hour of each user.
func limitsFile(t *testing.T, path string, n any) {
	t.Helper()
	text := fmt.Sprintf("domain: envoy\ndescriptors:\n- key: user\n  rate_limit: {unit: hour, requests_per_unit: %v}\n", n)
	// Whole at once: it is watched.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func withLimits(path string) string {
	return fmt.Sprintf("ratelimit: {paths: [%q], poll_interval: 10ms}\ningest: {ratelimit: {timeout: 5s}}\n", path)
}

func (p *proc) limits(t *testing.T) (rlsv3.RateLimitServiceClient, *grpc.ClientConn) {
	t.Helper()
	return p.limitsOver(t, insecure.NewCredentials())
}

func (p *proc) limitsOver(t *testing.T, creds credentials.TransportCredentials) (rlsv3.RateLimitServiceClient, *grpc.ClientConn) {
	t.Helper()
	conn, err := grpc.NewClient(p.limiting.listener.Addr().String(), grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return rlsv3.NewRateLimitServiceClient(conn), conn
}

// hits asks for a user and returns the limit and whether it is exceeded.
func hits(t *testing.T, c rlsv3.RateLimitServiceClient, user string) (limit uint32, over bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testWait)
	defer cancel()
	resp, err := c.ShouldRateLimit(ctx, &rlsv3.RateLimitRequest{Domain: "envoy", Descriptors: []*commonv3.RateLimitDescriptor{{
		Entries: []*commonv3.RateLimitDescriptor_Entry{{Key: "user", Value: user}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return resp.Statuses[0].GetCurrentLimit().GetRequestsPerUnit(), resp.OverallCode == rlsv3.RateLimitResponse_OVER_LIMIT
}

// TestServeLimits: limits are charged, shown, followed, reloaded, and the last
// good ones stay. A policy is not needed.
func TestServeLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.yaml")
	limitsFile(t, path, 2)
	p := startProc(t, withLimits(path))
	if p.policing != nil {
		t.Error("there is a policy")
	}
	c, conn := p.limits(t)
	for i, want := range []bool{false, false, true, true} {
		if limit, over := hits(t, c, "alice"); over != want || limit != 2 {
			t.Errorf("request %d: over is %v of %d", i, over, limit)
		}
	}
	if _, over := hits(t, c, "bob"); over {
		t.Error("bob pays for alice")
	}
	health, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "envoy.service.ratelimit.v3.RateLimitService"})
	if err != nil || health.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", health, err)
	}
	_, body := p.get(p.adminURL("/metrics"))
	for _, want := range []string{
		`tallygate_ratelimit_limit_hits_total{limit="envoy.user",result="within"} 3`,
		`tallygate_ratelimit_limit_hits_total{limit="envoy.user",result="over_limit"} 2`,
		`tallygate_ratelimit_requests_total{outcome="over_limit"} 2`,
		`tallygate_descriptors_limits 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in /metrics", want)
		}
	}

	// What was used stays used when the limit changes.
	limitsFile(t, path, 3)
	p.until("the new limit", func() bool { limit, _ := hits(t, c, "carol"); return limit == 3 })
	limitsFile(t, path, "three")
	p.until("the failure is counted", func() bool { return p.own("tallygate_descriptors_last_reload_success") == 0 })
	if limit, _ := hits(t, c, "dave"); limit != 3 {
		t.Errorf("the limit is %d; want the last good one", limit)
	}

	other := filepath.Join(t.TempDir(), "other.yaml")
	limitsFile(t, other, 9)
	p.write(withLimits(other))
	p.hup <- os.Interrupt
	p.until("the limits of the other file", func() bool { limit, _ := hits(t, c, "erin"); return limit == 9 })
	p.write(withLimits(path))
	p.hup <- os.Interrupt
	p.until("the broken file is refused", func() bool { return strings.Contains(p.log.String(), `requests_per_unit is \"three\"`) })
	if limit, _ := hits(t, c, "frank"); limit != 9 {
		t.Errorf("the limit is %d; want the last good one", limit)
	}
	p.write(withLimits(other) + "labels: []\n" + "planes: [policy, telemetry]\n")
	p.write(strings.Replace(withLimits(other), "timeout: 5s", "timeout: 5s, shadow: true", 1))
	p.hup <- os.Interrupt
	p.until("shadow mode", func() bool { _, over := hits(t, c, "alice"); return !over })
	p.write("")
	p.hup <- os.Interrupt
	p.until("a restart is asked for", func() bool { return strings.Contains(p.log.String(), "needs restart: ratelimit") })
}

// TestRateLimitPortTaken: the run without flags leaves the service out, one with a
// configuration does not.
func TestRateLimitPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sets := []string{"ingest.als.endpoint=127.0.0.1:0", "prometheus.endpoint=127.0.0.1:0", "admin.endpoint=127.0.0.1:0", "admin.token=0123456789abcdef",
		"ingest.extauthz.endpoint=127.0.0.1:0", "ingest.forward_auth.endpoint=127.0.0.1:0", "ingest.ratelimit.endpoint=" + l.Addr().String()}
	f := func(uris []string, ok bool) {
		t.Helper()
		src := config.Sources{URIs: uris, Sets: sets}
		cfg, err := loadConfig(t.Context(), src)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		d, err := newDaemon(cfg, src, telemetry.NewLog(cfg.Log, &log))
		if err != nil {
			t.Fatal(err)
		}
		err = d.listen(t.Context())
		defer d.close()
		if (err == nil) != ok || ok && (d.limiting != nil || !strings.Contains(log.String(), "left out")) {
			t.Errorf("%v; log:\n%s", err, &log)
		}
		if ok {
			var out bytes.Buffer
			if d.greet(&out); strings.Contains(out.String(), "rate limits") {
				t.Errorf("greets with\n%s", &out)
			}
		}
	}
	f(nil, true)
	f([]string{`yaml:ratelimit: {paths: ["builtin:none"]}`}, false)
}

func TestValidateLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.yaml")
	f := func(n any, code int, want string) {
		t.Helper()
		limitsFile(t, path, n)
		out, err := command(t, "validate", "--config", "yaml:"+withLimits(path)).CombinedOutput()
		if exitCode(err) != code || !strings.Contains(string(out), want) {
			t.Errorf("%v: %s", err, out)
		}
	}
	f(1, 0, "is valid")
	f("one", exitUsage, "limits.yaml:4: requests_per_unit is \"one\"")
}

func TestRateLimitConfig(t *testing.T) {
	f := func(yaml, want string) {
		t.Helper()
		_, err := loadConfig(t.Context(), config.Sources{URIs: []string{"yaml:" + yaml}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want %s", yaml, err, want)
		}
	}
	f("ratelimit: {}", "ratelimit.paths: name files or directories")
	f("ratelimit: {paths: [a.yaml], entrypoint: x}", "ratelimit.entrypoint: paths is set too")
	f("ratelimit: {entrypoint: x}", `ratelimit.entrypoint: "x" needs a policy section`)
	f("ratelimit: {entrypoint: x}\npolicy: {paths: [a.rego]}", `ratelimit.entrypoint: there is no "x" in policy.entrypoints`)
	f("ingest: {ratelimit: {on_error: perhaps}}", "ingest.ratelimit.on_error")
	f("ratelimit: {paths: [a.yaml]}\ningest: {ratelimit: {endpoint: '127.0.0.1:9001'}}", "ingest.ratelimit.endpoint: 127.0.0.1:9001 is also that of ingest.als.endpoint")
}

// TestMutualTLSOfLimits: only who has a certificate of the client CA is answered,
// and what others ask costs nobody anything. Renewed certificates are used after a
// reload.
func TestMutualTLSOfLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.yaml")
	limitsFile(t, path, 3)
	dir, strangers := t.TempDir(), t.TempDir()
	roots, _ := issue(t, dir), issue(t, strangers)
	p := startProc(t, fmt.Sprintf("ratelimit: {paths: [%q]}\ningest: {ratelimit: {timeout: 5s, tls: {cert_file: %[2]s/tls.crt, key_file: %[2]s/tls.key, client_ca_file: %[2]s/tls.crt, reload_interval: 0s}}}\n", path, dir))
	with := func(roots *x509.CertPool, from string) credentials.TransportCredentials {
		cfg := &tls.Config{RootCAs: roots}
		if from != "" {
			cert, err := tls.LoadX509KeyPair(filepath.Join(from, "tls.crt"), filepath.Join(from, "tls.key"))
			if err != nil {
				t.Fatal(err)
			}
			cfg.Certificates = []tls.Certificate{cert}
		}
		return credentials.NewTLS(cfg)
	}
	for name, creds := range map[string]credentials.TransportCredentials{
		"no certificate":         with(roots, ""),
		"one of another CA":      with(roots, strangers),
		"no TLS":                 insecure.NewCredentials(),
		"a server of another CA": with(x509.NewCertPool(), dir),
	} {
		c, _ := p.limitsOver(t, creds)
		if _, err := c.ShouldRateLimit(t.Context(), &rlsv3.RateLimitRequest{Domain: "envoy"}); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v; want no connection", name, err)
		}
	}
	known, _ := p.limitsOver(t, with(roots, dir))
	for i, want := range []bool{false, false, false, true} {
		if _, over := hits(t, known, "alice"); over != want {
			t.Errorf("request %d: over is %v", i, over)
		}
	}

	renewed := issue(t, dir)
	p.hup <- os.Interrupt
	p.until("the reload", func() bool { return strings.Contains(p.log.String(), "Configuration reloaded") })
	again, _ := p.limitsOver(t, with(renewed, dir))
	if _, over := hits(t, again, "alice"); !over {
		t.Error("with renewed certificates alice is another")
	}
	old, _ := p.limitsOver(t, with(roots, dir))
	if _, err := old.ShouldRateLimit(t.Context(), &rlsv3.RateLimitRequest{Domain: "envoy"}); status.Code(err) != codes.Unavailable {
		t.Errorf("who expects the old certificate: %v", err)
	}
}
