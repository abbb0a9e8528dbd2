//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// What policies say is what real Envoy does.
//
//	client ──▶ envoy ──▶ application
//	             ├─Check─────▶ tallygate
//	             └─HTTP auth─▶ tallygate
func TestExtAuthz(t *testing.T) {
	g := startGated(t, nil)
	t.Run("allow", func(t *testing.T) {
		a := send(t, g.closed, "GET", "/allow/1", "", "x-user", "alice")
		if a.code != 200 || a.app.Header.Get("x-authenticated") != "alice" {
			t.Errorf("%+v", a)
		}
	})
	t.Run("mutate", func(t *testing.T) {
		a := send(t, g.closed, "GET", "/mutate?token=secret&q=1", "", "x-user", "forged", "authorization", "Bearer x", "x-case", "mutated")
		got := fmt.Sprint(a.app.URL, a.app.Header["X-User"], a.app.Header["X-Group"], a.app.Header["Authorization"], a.header["X-Judged"], a.header["Set-Cookie"])
		if want := "/mutate?by=policy&q=1[judged] [a,b] [] [yes] [a=1 b=2]"; a.code != 200 || got != want {
			t.Errorf("%d %s; want %s", a.code, got, want)
		}
		g.wantLog(t, `mutated id=[0-9a-f]{32} rule=envoy\.authz\.allow:\d+ tier=gold error=- via_upstream`)
	})
	t.Run("deny with body and headers", func(t *testing.T) {
		a := send(t, g.closed, "GET", "/login", "", "x-case", "denied")
		if a.code != 401 || a.body != "log in\n" || a.header.Get("www-authenticate") != "Bearer" || len(a.header["Set-Cookie"]) != 2 {
			t.Errorf("%+v", a)
		}
		g.wantLog(t, `denied id=[0-9a-f]{32} rule=\S+ tier=- error=- ext_authz_denied`)
	})
	t.Run("deny", func(t *testing.T) {
		if a := send(t, g.closed, "GET", "/nothing", ""); a.code != 403 || a.body != "" {
			t.Errorf("%+v", a)
		}
	})
	t.Run("body", func(t *testing.T) {
		f := func(want int, body string) {
			t.Helper()
			if a := send(t, g.closed, "POST", "/body", body, "content-type", "application/json"); a.code != want {
				t.Errorf("%.50s: %d; want %d", body, a.code, want)
			}
		}
		f(200, `{"user": "alice"}`)
		f(403, `{"user": "bob"}`)
		f(400, `{"user": "alice"`)
		f(403, `{"user": "alice", "more": "`+strings.Repeat("x", 10_000)+`"}`) // cut off by Envoy
	})
	t.Run("header injection", func(t *testing.T) {
		if a := send(t, g.closed, "GET", "/inject?inject=%0d%0ax-admin:%20true", ""); a.code != 403 {
			t.Errorf("%+v", a)
		}
		if a := send(t, g.closed, "GET", "/inject?inject=b", ""); a.code != 200 || a.app.Header.Get("x-user") != "ab" {
			t.Errorf("%+v", a)
		}
	})
	t.Run("gRPC deny is status 7", func(t *testing.T) {
		conn, err := grpc.NewClient(g.closed, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%v; want PermissionDenied", err)
		}
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-banned", "yes")
		_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
		if s := status.Convert(err); s.Code() != codes.PermissionDenied || s.Message() != "für immer: 100 %" {
			t.Errorf("%v; want PermissionDenied with the body as the message", err)
		}
	})
	t.Run("TCP", func(t *testing.T) {
		if !passes(t, g.tcpAllowed) || passes(t, g.tcp) {
			t.Error("want the one port to pass and the other not")
		}
	})
	t.Run("HTTP service", func(t *testing.T) {
		a := send(t, g.service, "GET", "/remove?a=b", "", "x-user", "forged", "authorization", "Bearer x")
		if a.code != 200 || a.app.Header.Get("x-user") != "judged" || a.app.Header.Get("authorization") != "" || a.app.URL != "/remove?a=b" {
			t.Errorf("remove: %+v", a)
		}
		a = send(t, g.service, "GET", "/login", "")
		if a.code != 401 || a.body != "log in\n" || a.header.Get("www-authenticate") != "Bearer" {
			t.Errorf("login: %+v", a)
		}
		if a := send(t, g.service, "GET", "/mutate", ""); a.code != 403 { // a query cannot be changed by this way
			t.Errorf("mutate: %+v", a)
		}
		if a := send(t, g.service, "GET", "/nothing", "", "x-original-url", "/allow", "x-forwarded-uri", "/allow"); a.code != 403 {
			t.Errorf("spoofed: %+v", a)
		}
	})
	for _, want := range []string{`listener="ext_authz_http",outcome="allow"`, `listener="ext_authz_http",outcome="deny"`,
		`listener="ext_authz_http",outcome="refused"`, `listener="ext_authz_tcp",outcome="allow"`, `listener="ext_authz_tcp",outcome="deny"`,
		`listener="forward_auth",outcome="allow"`, `listener="forward_auth",outcome="refused"`} {
		if g.own(t, "tallygate_extauthz_checks_total{"+want+"}") == "0" {
			t.Errorf("no checks with %s", want)
		}
	}
}

func TestExtAuthzExampleIsValid(t *testing.T) {
	path, err := filepath.Abs(filepath.Join("..", "..", "examples", "envoy", "ext_authz.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Bed(t).ValidateEnvoy(t.Context(), path); err != nil {
		t.Error(err)
	}
}

// own returns a value of Tallygate's own metrics, 0 if it has none.
func (g *gated) own(t *testing.T, series string) string {
	t.Helper()
	if v, ok := g.ownAll(t, series)[series]; ok {
		return v
	}
	return "0"
}

// ownAll returns those of Tallygate's own metrics whose series begin with prefix.
func (g *gated) ownAll(t *testing.T, prefix string) map[string]string {
	t.Helper()
	resp, err := http.Get("http://" + g.tallygate.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if i := strings.LastIndexByte(line, ' '); strings.HasPrefix(line, prefix) {
			all[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return all
}

func (g *gated) wantLog(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile("(?m)^" + pattern)
	Eventually(t, 15*time.Second, func(context.Context) error {
		if log := g.envoy.Log(1 << 20); !re.MatchString(log) {
			return fmt.Errorf("no %s in Envoy's log:\n%s", pattern, log)
		}
		return nil
	})
}
