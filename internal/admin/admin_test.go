package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type running struct {
	*Server
	ready Readiness
	stop  func() error
}

func run(t *testing.T, change func(*Config)) *running {
	t.Helper()
	r := &running{}
	reg := prometheus.NewRegistry()
	cfg := DefaultConfig()
	cfg.Endpoint = "127.0.0.1:0"
	cfg.TokenFile = filepath.Join(t.TempDir(), "deep", "token")
	if change != nil {
		change(&cfg)
	}
	var err error
	r.Server, err = New(cfg, Options{
		Registerer: reg,
		Metrics:    reg,
		Readiness:  &r.ready,
		Config:     func() ([]byte, error) { return []byte("log: {}\n"), nil },
		Routes: []Route{{Pattern: "GET /api/v1/proxies", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `["a proxy"]`)
		})}},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = func() error { cancel(); return <-done }
	return r
}

func (r *running) request(t *testing.T, path string, change func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	if change != nil {
		change(req)
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
	return resp.StatusCode, string(b)
}

func readToken(t *testing.T, path string) string {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		if b, err := os.ReadFile(path); err == nil {
			return strings.TrimSpace(string(b))
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestTrust(t *testing.T) {
	r := run(t, func(c *Config) { c.AllowedHosts = []string{"tallygate.mesh"} })
	token := readToken(t, r.cfg.TokenFile)
	_, port, err := net.SplitHostPort(r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	const open, closed = "/readyz", "/debug/config"

	f := func(path, host, origin, authorization string, want int) {
		t.Helper()
		got, body := r.request(t, path, func(req *http.Request) {
			if host != "" {
				req.Host = host
			}
			if origin != "" {
				req.Header.Set("Origin", origin)
			}
			if authorization != "" {
				req.Header.Set("Authorization", authorization)
			}
		})
		if got != want {
			t.Errorf("%s with Host %q, Origin %q, Authorization %q: %d %s; want %d", path, host, origin, authorization, got, body, want)
		}
	}
	// Without and with a token.
	f(open, "", "", "", 200)
	f("/healthz", "", "", "", 200)
	f("/metrics", "", "", "", 200)
	for _, path := range []string{closed, "/api/v1/proxies", "/debug/pprof/", "/debug/pprof/cmdline"} {
		f(path, "", "", "", 401)
		f(path, "", "", "Bearer "+token, 200)
	}
	f(closed, "", "", "bearer "+token, 200)
	f(closed, "", "", "Bearer wrong", 401)
	f(closed, "", "", "Bearer", 401)
	f(closed, "", "", "Basic "+token, 401)
	f("/nothing", "", "", "Bearer "+token, 404)
	// Hosts: a name that was rebound to us is refused, with the token too.
	f(open, "localhost:"+port, "", "", 200)
	f(open, "LOCALHOST", "", "", 200)
	f(open, "[::1]:"+port, "", "", 200)
	f(open, "tallygate.mesh:"+port, "", "", 200)
	f(open, "evil.example:"+port, "", "", 421)
	f(open, "127.0.0.1.evil.example", "", "", 421)
	f(open, "10.1.2.3:"+port, "", "", 421)
	f(closed, "evil.example", "", "Bearer "+token, 421)
	// Origins: only our own pages.
	f(open, "", "http://"+r.Addr().String(), "", 200)
	f(open, "", "https://"+r.Addr().String(), "", 403)
	f(open, "", "http://evil.example", "", 403)
	f(open, "", "http://localhost:3000", "", 403)
	f(open, "", "null", "", 403)
	f(closed, "", "http://evil.example", "Bearer "+token, 403)

	for reason, want := range map[string]float64{"host": 4, "origin": 5, "token": 7} {
		if got := testutil.ToFloat64(r.guard.refused.WithLabelValues(reason)); got != want {
			t.Errorf("refused for %s: %v; want %v", reason, got, want)
		}
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(r.cfg.TokenFile); !os.IsNotExist(err) {
		t.Errorf("the token is still there: %v", err)
	}
}

func TestTokenFile(t *testing.T) {
	r := run(t, nil)
	token := readToken(t, r.cfg.TokenFile)
	fi, err := os.Stat(r.cfg.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode().Perm() != 0o600 || len(token) < 20 {
		t.Errorf("mode %v, %d characters", fi.Mode(), len(token))
	}
	// The token of a successor is not ours to remove.
	if err := os.WriteFile(r.cfg.TokenFile, []byte("successor"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(r.cfg.TokenFile); err != nil {
		t.Error(err)
	}
}

func TestTokenFileCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, func(c *Config) { c.TokenFile = filepath.Join(file, "token") })
	if err := r.stop(); err == nil || !strings.HasPrefix(err.Error(), "admin.token_file: ") {
		t.Errorf("Run = %v; want an error at admin.token_file", err)
	}

	// A default that cannot be written leaves open what is open.
	t.Setenv("XDG_RUNTIME_DIR", file)
	r = run(t, func(c *Config) { c.TokenFile = "" })
	if code, _ := r.request(t, "/healthz", nil); code != 200 {
		t.Errorf("/healthz: %d", code)
	}
	if code, _ := r.request(t, "/debug/config", func(q *http.Request) { q.Header.Set("Authorization", "Bearer ") }); code != 401 {
		t.Errorf("/debug/config: %d", code)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestReadiness(t *testing.T) {
	r := run(t, nil)
	f := func(path string, wantCode int, want string) {
		t.Helper()
		if code, body := r.request(t, path, nil); code != wantCode || body != want {
			t.Errorf("%s: %d %q; want %d %q", path, code, body, wantCode, want)
		}
	}
	r.ready.Set("serving", io.ErrNoProgress)
	r.ready.Set("als", nil)
	f("/readyz", 503, "not ready\n")
	f("/readyz?verbose", 503, "[+] als ok\n[-] serving: multiple Read calls return no data or error\nnot ready\n")
	f("/healthz", 200, "ok\n")
	r.ready.Set("serving", nil)
	f("/readyz?verbose=1", 200, "[+] als ok\n[+] serving ok\nready\n")
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestClient(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	ask := func(server string) ([]string, error) {
		c, err := NewClient(ClientConfig{Server: server})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		return got, c.Get(t.Context(), "/api/v1/proxies", &got)
	}
	f := func(server func(*running) string, change func(*Config)) {
		t.Helper()
		r := run(t, func(c *Config) { c.TokenFile = ""; change(c) })
		path, err := TokenFile(r.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if r.cfg.Token == "" {
			readToken(t, path)
		}
		if got, err := ask(server(r)); err != nil {
			t.Errorf("%s: %v, %v", server(r), got, err)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if _, err := ask(server(r)); err == nil || !strings.Contains(err.Error(), "is `tallygate serve` running") {
			t.Errorf("asking nobody: %v", err)
		}
	}
	address := func(r *running) string { return r.Addr().String() }
	f(address, func(*Config) {})
	f(func(r *running) string {
		_, port, _ := net.SplitHostPort(address(r))
		return "http://localhost:" + port + "/"
	}, func(c *Config) { c.Endpoint = "0.0.0.0:0"; c.Transport = "tcp4" })
	f(func(r *running) string { return "unix://" + address(r) }, func(c *Config) {
		c.Transport, c.Endpoint = "unix", filepath.Join(t.TempDir(), "admin.sock")
	})

	r := run(t, func(c *Config) { c.TokenFile = ""; c.Token = "a token that was given" })
	if _, err := ask(address(r)); err == nil || !strings.Contains(err.Error(), "401 Unauthorized") {
		t.Errorf("without the given token: %v", err)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestConfigValidate(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		c := DefaultConfig()
		change(&c)
		got := ""
		if err := c.Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("Validate: %q; want %q", got, want)
		}
	}
	f(func(*Config) {}, "")
	f(func(c *Config) { c.AllowedHosts = []string{"a.b", "::1", "*", "a:80"} }, `allowed_hosts[3]: "a:80" is not a host name without port`)
	f(func(c *Config) { c.Token, c.TokenFile = "short", "/x" },
		"token: has fewer than 16 characters\ntoken_file: a token that is given is not written; leave one of token and token_file out")
}

func (r *running) post(t *testing.T, path, body, authorization string) (int, string) {
	t.Helper()
	return r.request(t, path, func(req *http.Request) {
		req.Method, req.Body = http.MethodPost, io.NopCloser(strings.NewReader(body))
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
	})
}

// A page gets a token for a code that works once, and only who is trusted gets a
// code.
func TestSession(t *testing.T) {
	r := run(t, nil)
	defer r.stop()
	bearer := "Bearer " + readToken(t, r.cfg.TokenFile)
	if code, _ := r.post(t, "/api/v1/login", "", ""); code != 401 {
		t.Errorf("a code without a token: %d; want 401", code)
	}
	var login Login
	if code, body := r.post(t, "/api/v1/login", "", bearer); code != 200 || json.Unmarshal([]byte(body), &login) != nil || login.Code == "" {
		t.Fatalf("login: %d %s", code, body)
	}
	exchange := func(code string) (int, Session) {
		t.Helper()
		var s Session
		status, body := r.post(t, "/api/v1/session", fmt.Sprintf(`{"code": %q}`, code), "")
		_ = json.Unmarshal([]byte(body), &s)
		return status, s
	}
	if status, _ := exchange("wrong"); status != 401 {
		t.Errorf("a wrong code: %d; want 401", status)
	}
	status, s := exchange(login.Code)
	if status != 200 || s.Token == "" {
		t.Fatalf("session: %d", status)
	}
	if status, _ := exchange(login.Code); status != 401 {
		t.Errorf("the code a second time: %d; want 401", status)
	}
	get := func(token string) int {
		t.Helper()
		status, _ := r.request(t, "/debug/config", func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+token) })
		return status
	}
	if status := get(s.Token); status != 200 {
		t.Errorf("with the token of the session: %d; want 200", status)
	}
	if status := get(login.Code); status != 401 {
		t.Errorf("with the code for a token: %d; want 401", status)
	}
	if status, _ := r.post(t, "/api/v1/session", "no JSON", ""); status != 400 {
		t.Errorf("no JSON: %d; want 400", status)
	}
}

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sessions
		late, _ := s.issue(&s.codes, loginLife)
		early, _ := s.issue(&s.codes, loginLife)
		token, ok := s.redeem(early)
		if !ok || !s.knows(token) {
			t.Error("a code is not taken")
		}
		time.Sleep(loginLife + time.Second)
		if _, ok := s.redeem(late); ok {
			t.Error("a code is taken after its minute")
		}
		time.Sleep(sessionLife)
		if s.knows(token) {
			t.Error("a session goes on after its time")
		}
		for range maxSessions {
			if _, ok := s.issue(&s.codes, loginLife); !ok {
				t.Fatal("codes run out early")
			}
		}
		if _, ok := s.issue(&s.codes, loginLife); ok {
			t.Error("codes are not bounded")
		}
		time.Sleep(loginLife + time.Second)
		if _, ok := s.issue(&s.codes, loginLife); !ok {
			t.Error("codes that ended count")
		}
	})
}
