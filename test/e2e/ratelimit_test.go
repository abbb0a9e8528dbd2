//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tallygate/tallygate/test/testbed"
)

// limited is the example of an Envoy that asks Tallygate for rate limits.
type limited struct {
	tallygate *testbed.Tallygate
	envoy     *testbed.Envoy
	entrance  string
	reached   atomic.Int64 // requests that the application saw
}

// startLimited starts Tallygate with the example's limits, an application that
// speaks HTTP and gRPC, and the example's Envoy. section is ingest.ratelimit.
func startLimited(t *testing.T, section object, replace ...string) *limited {
	t.Helper()
	l := new(limited)
	free := func() string {
		addr, err := testbed.FreeAddr("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		return addr
	}
	// No window ends while the test is on.
	limits := filepath.Join(t.TempDir(), "limits.yaml")
	text := regexp.MustCompile(`unit: (minute|hour)`).ReplaceAllString(read(t, "ratelimit", "limits.yaml"), "unit: year")
	if err := os.WriteFile(limits, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	rls := free()
	section["endpoint"], section["timeout"] = rls, "1s"
	l.tallygate = StartTallygate(t, testbed.TallygateConfig{More: object{
		"ratelimit": object{"paths": array{limits}},
		"ingest":    object{"ratelimit": section},
	}})
	l.entrance = free()
	app := l.app(t)
	at := func(addr string) string {
		host, port, _ := net.SplitHostPort(addr)
		return "address: " + host + ", port_value: " + port
	}
	bootstrap := admin + read(t, "envoy", "ratelimit.yaml")
	replace = append(replace, "address: 0.0.0.0, port_value: 15006", at(l.entrance), "address: 127.0.0.1, port_value: 8080", at(app),
		"address: tallygate, port_value: 8081", at(rls), "address: tallygate, port_value: 9001", at(l.tallygate.ALS), "timeout: 0.02s", "timeout: 1s")
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(bootstrap, replace[i]) {
			t.Fatalf("the example no longer holds %q", replace[i])
		}
		bootstrap = strings.ReplaceAll(bootstrap, replace[i], replace[i+1])
	}
	l.envoy = StartEnvoy(t, testbed.EnvoyConfig{Name: "limited", Bootstrap: bootstrap})
	return l
}

// read returns an example.
func read(t *testing.T, name ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "examples"}, name...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// app answers HTTP with 200, and gRPC's health service.
func (l *limited) app(t *testing.T) string {
	calls := grpc.NewServer()
	healthpb.RegisterHealthServer(calls, health.NewServer())
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.reached.Add(1)
		if strings.HasPrefix(r.Header.Get("content-type"), "application/grpc") {
			calls.ServeHTTP(w, r)
			return
		}
		echoRequest(w, r)
	}))
	app.Config.Protocols = new(http.Protocols)
	app.Config.Protocols.SetHTTP1(true)
	app.Config.Protocols.SetUnencryptedHTTP2(true)
	app.Start()
	t.Cleanup(app.Close)
	return app.Listener.Addr().String()
}

// What the limits say is what clients of a real Envoy see, over HTTP and gRPC;
// Envoy's statistics, the access logs and Tallygate's books count the same.
//
//	client ──▶ envoy ──▶ application
//	             ├─ShouldRateLimit─▶ tallygate
//	             └─ALS─────────────▶ tallygate
func TestRateLimit(t *testing.T) {
	t.Parallel()
	l := startLimited(t, object{"response_headers": object{"enabled": true, "retry_after": "retry-after"}, "body": "slow down\n"})
	sent, passed := 0, 0
	get := func(path, user string, want int) answer {
		t.Helper()
		a := send(t, l.entrance, "GET", path, "", "x-user", user)
		if a.code != want {
			t.Errorf("%s of %s: %d; want %d", path, user, a.code, want)
		}
		if sent++; a.code == 200 {
			passed++
		}
		return a
	}
	for i := range 5 {
		a := get("/login", "alice", 200)
		got := fmt.Sprint(a.header.Get("RateLimit-Limit"), " ", a.header.Get("RateLimit-Remaining"))
		if want := fmt.Sprint(5, " ", 4-i); got != want {
			t.Errorf("login %d: headers say %s; want %s", i, got, want)
		}
	}
	a := get("/login", "alice", 429)
	if a.body != "slow down\n" || a.header.Get("x-envoy-ratelimited") != "true" || a.header.Get("RateLimit-Remaining") != "0" || a.header.Get("retry-after") == "" {
		t.Errorf("refused with %+v", a)
	}
	// What Envoy itself makes of the statuses.
	if got := a.header.Get("x-ratelimit-limit"); !strings.HasPrefix(got, "5, ") || a.header.Get("x-ratelimit-remaining") != "0" {
		t.Errorf("x-ratelimit-limit is %q, remaining %q", got, a.header.Get("x-ratelimit-remaining"))
	}
	get("/login", "bob", 200)
	get("/elsewhere", "alice", 200)
	for range 25 { // shadow_mode: counted, not enforced
		get("/export/all", "carol", 200)
	}

	conn, err := grpc.NewClient(l.entrance, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	call := func(user string, want codes.Code) {
		t.Helper()
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-user", user)
		if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}); status.Code(err) != want {
			t.Errorf("gRPC of %s: %v; want %s", user, err, want)
		}
		if sent++; want == codes.OK {
			passed++
		}
	}
	for range 3 {
		call("grpc", codes.OK)
	}
	call("grpc", codes.ResourceExhausted)
	call("other", codes.OK)

	refused := sent - passed
	if refused != 2 || l.reached.Load() != int64(passed) {
		t.Errorf("%d refused, %d of %d reached the application", refused, l.reached.Load(), passed)
	}
	l.wantBooks(t, sent, passed, map[string]int{
		`{limit="backend.path_/login.user",result="within"}`:        6,
		`{limit="backend.path_/login.user",result="over_limit"}`:    1,
		`{limit="backend.path_/export*.user",result="within"}`:      20,
		`{limit="backend.path_/export*.user",result="shadow_mode"}`: 5,
		`{limit="backend.path_/grpc*.user",result="within"}`:        4,
		`{limit="backend.path_/grpc*.user",result="over_limit"}`:    1,
		`{limit="backend.remote_address",result="over_limit"}`:      0,
	})
}

// wantBooks compares Envoy's statistics, the access logs and Tallygate's books.
func (l *limited) wantBooks(t *testing.T, sent, passed int, hits map[string]int) {
	t.Helper()
	Eventually(t, 20*time.Second, func(ctx context.Context) error {
		stats, err := l.envoy.Stats(ctx, "ratelimit")
		if err != nil {
			return err
		}
		ok, over := stats["cluster.app.ratelimit.ok"], stats["cluster.app.ratelimit.over_limit"]
		if int(ok) != passed || int(over) != sent-passed {
			return fmt.Errorf("Envoy counts %d ok and %d over of %d sent, %d passed: %v", ok, over, sent, passed, stats)
		}
		series, err := l.tallygate.Scrape(ctx, "istio_requests_total")
		if err != nil {
			return err
		}
		limited, all := testbed.Sum(series, "istio_requests_total", "response_flags=RL"), testbed.Sum(series, "istio_requests_total")
		if int(limited) != sent-passed || int(all) != sent {
			return fmt.Errorf("the access logs have %v of which %v refused; want %d, %d", all, limited, sent, sent-passed)
		}
		return nil
	})
	own := (&gated{tallygate: l.tallygate}).own
	for labels, want := range hits {
		if got := own(t, "tallygate_ratelimit_limit_hits_total"+labels); got != fmt.Sprint(want) {
			t.Errorf("hits%s: %s; want %d", labels, got, want)
		}
	}
	for outcome, want := range map[string]int{"ok": passed, "over_limit": sent - passed} {
		if got := own(t, `tallygate_ratelimit_requests_total{outcome="`+outcome+`"}`); got != fmt.Sprint(want) {
			t.Errorf("%s: %s; want %d", outcome, got, want)
		}
	}
}

// A proxy that asks with the use of a request once it has ended: what goes beyond
// the limit counts for the next.
func TestRateLimitOnStreamDone(t *testing.T) {
	t.Parallel()
	const limits = `              rate_limits: # each makes a descriptor; all are charged
              - actions: # ("remote_address", …)
                - remote_address: {}
              - actions: # ("path", "/login"), ("user", …)
                - request_headers: {header_name: ":path", descriptor_key: path}
                - request_headers: {header_name: x-user, descriptor_key: user}
`
	// Addends of single descriptors are taken from here only.
	const perRoute = `              typed_per_filter_config:
                envoy.filters.http.ratelimit:
                  "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute
                  rate_limits:
                  - actions: &actions
                    - request_headers: {header_name: ":path", descriptor_key: path}
                    - request_headers: {header_name: x-user, descriptor_key: user}
                    hits_addend: {number: 0}
                  - actions: *actions
                    hits_addend: {format: "%REQ(x-tokens)%"}
                    apply_on_stream_done: true
`
	l := startLimited(t, object{}, limits, perRoute)
	use := func(tokens, want int) {
		t.Helper()
		if a := send(t, l.entrance, "GET", "/login", "", "x-user", "alice", "x-tokens", fmt.Sprint(tokens)); a.code != want {
			t.Errorf("%d tokens: %d; want %d", tokens, a.code, want)
		}
	}
	own := (&gated{tallygate: l.tallygate}).own
	settled := func(requests int) {
		t.Helper()
		Eventually(t, 10*time.Second, func(context.Context) error {
			ok, over := own(t, `tallygate_ratelimit_requests_total{outcome="ok"}`), own(t, `tallygate_ratelimit_requests_total{outcome="over_limit"}`)
			o, _ := strconv.Atoi(ok)
			if n, _ := strconv.Atoi(over); o+n != requests {
				return fmt.Errorf("%d requests; want %d", o+n, requests)
			}
			return nil
		})
	}
	use(3, 200) // 3 of 5
	settled(2)
	use(100, 200) // the probe passes, the use is far beyond
	settled(4)
	use(1, 429)
}

func TestRateLimitServiceGone(t *testing.T) {
	t.Parallel()
	l := startLimited(t, object{})
	if a := send(t, l.entrance, "GET", "/login", "", "x-user", "alice"); a.code != 200 {
		t.Fatalf("%+v", a)
	}
	l.tallygate.Kill()
	for range 7 { // failure_mode_deny: false
		if a := send(t, l.entrance, "GET", "/login", "", "x-user", "alice"); a.code != 200 {
			t.Errorf("%+v", a)
		}
	}
}
