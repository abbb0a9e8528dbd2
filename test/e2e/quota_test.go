//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A policy's quotas are what clients of a real Envoy meet, and what is admitted is
// what access log and metrics say, to the request.
//
//	clients ──▶ envoy ──▶ application
//	              └─Check─▶ tallygate: five an hour for each user
func TestQuotas(t *testing.T) {
	g := startGated(t, nil)
	const n, limit = 40, 5
	var mu sync.Mutex
	codesSeen := map[int]int{}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			a := send(t, g.closed, "GET", "/quota", "", "x-user", "alice", "x-quota", "yes", "x-case", "alice")
			mu.Lock()
			defer mu.Unlock()
			codesSeen[a.code]++
			h := a.header
			switch {
			case h.Get("x-ratelimit-limit") != "5, 5;w=3600":
				t.Errorf("%d: x-ratelimit-limit %q", a.code, h.Get("x-ratelimit-limit"))
			case a.code == 200 && (h.Get("x-ratelimit-reset") == "" || h.Get("retry-after") != ""):
				t.Errorf("allowed with %v", h)
			case a.code == 429 && (h.Get("x-ratelimit-remaining") != "0" || h.Get("retry-after") == "" || a.body != "used up\n"):
				t.Errorf("refused with %v, %q", h, a.body)
			}
		})
	}
	wg.Wait()
	if codesSeen[200] != limit || codesSeen[429] != n-limit {
		t.Errorf("answers %v; want %d of 200 and %d of 429", codesSeen, limit, n-limit)
	}
	if a := send(t, g.closed, "GET", "/quota", "", "x-user", "bob", "x-quota", "yes"); a.code != 200 || a.header.Get("x-ratelimit-remaining") != "4" {
		t.Errorf("another user: %+v", a)
	}
	if a := send(t, g.service, "GET", "/quota", "", "x-user", "alice", "x-quota", "yes"); a.code != 429 || a.header.Get("retry-after") == "" {
		t.Errorf("over HTTP: %+v", a)
	}

	conn, err := grpc.NewClient(g.closed, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-user", "alice", "x-quota", "yes", "x-case", "grpc")
	var header metadata.MD
	_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.Header(&header), grpc.Trailer(&header))
	if status.Code(err) != codes.ResourceExhausted || strings.TrimSpace(status.Convert(err).Message()) != "used up" || len(header["retry-after"]) != 1 {
		t.Errorf("gRPC: %v, %v; want RESOURCE_EXHAUSTED, used up", err, header)
	}

	g.wantLog(t, `grpc .* quota=per-user over=true`)
	Eventually(t, 15*time.Second, func(context.Context) error {
		log := g.envoy.Log(1 << 20)
		passed, over := 0, 0
		for line := range strings.Lines(log) {
			if !strings.HasPrefix(line, "alice ") {
				continue
			}
			switch {
			case strings.Contains(line, "via_upstream quota=per-user over=- code=200"):
				passed++
			case strings.Contains(line, "ext_authz_denied quota=per-user over=true code=429"):
				over++
			}
		}
		if passed != codesSeen[200] || over != codesSeen[429] {
			return fmt.Errorf("the access log has %d and %d; clients saw %v\n%s", passed, over, codesSeen, log)
		}
		return nil
	})
	metrics := adminMetrics(t, g.tallygate.Admin)
	for _, want := range []string{
		fmt.Sprintf(`tallygate_quota_charges_total{quota="per-user",result="passed"} %d`, limit+1),
		fmt.Sprintf(`tallygate_quota_charges_total{quota="per-user",result="over"} %d`, n-limit+2),
		fmt.Sprintf(`tallygate_extauthz_checks_total{listener="ext_authz_http",outcome="quota"} %d`, n-limit+1),
		`tallygate_extauthz_checks_total{listener="forward_auth",outcome="quota"} 1`,
		fmt.Sprintf(`tallygate_policy_quota_denials_total %d`, n-limit+2),
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	out, err := g.tallygate.Run(t.Context(), "quota", "top", "per-user", "--server", g.tallygate.Admin, "--token-file", g.tallygate.Token)
	if err != nil || !strings.Contains(out, `per-user  "alice"  5/1h   100 %  0`) {
		t.Errorf("%v\n%s", err, out)
	}
}

func adminMetrics(t *testing.T, admin string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
