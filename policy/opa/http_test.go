package opa

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestForbiddenBuiltins(t *testing.T) {
	f := func(cfg Config, module, want string) {
		t.Helper()
		cfg.Entrypoint = "p/allow"
		_, err := CompileSources(context.Background(), &cfg, &Sources{Modules: map[string]string{"p.rego": "package p\n" + module}})
		if want == "" && err != nil || want != "" && !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: got %v, want %q", module, err, want)
		}
	}
	f(Config{}, `allow if http.send({"url": "x"})`, "p.rego:2: undefined function http.send: it is forbidden; to allow it, list the hosts")
	f(Config{}, `allow if opa.runtime()`, "to allow it, name it in allow_builtins")
	f(Config{}, `allow if net.lookup_ip_addr("x")`, "to allow it, name it in allow_builtins")
	f(Config{Builtins: []string{"opa.runtime"}}, `allow if opa.runtime()`, "")
	f(Config{HTTPSend: HTTPSend{Hosts: []string{"x"}}}, `allow if http.send({"url": "x"})`, "")
	f(Config{HTTPSend: HTTPSend{Hosts: []string{"x"}}}, `allow if json.match_schema({}, {})[0]`, "remove http_send.hosts")
}

func TestIsLocal(t *testing.T) {
	f := func(addr string, want bool) {
		t.Helper()
		if got := isLocal(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %v", addr, got)
		}
	}
	for _, a := range []string{
		"127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "0.1.2.3", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00:ec2::254",
		"100.100.100.200", "168.63.129.16", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1",
		"64:ff9b::a9fe:a9fe", "2002:7f00:1::", "224.0.0.1", "ff02::1", "255.255.255.255",
	} {
		f(a, true)
	}
	for _, a := range []string{"10.0.0.1", "192.168.1.1", "8.8.8.8", "2001:4860:4860::8888", "fd12::1", "64:ff9b::808:808"} {
		f(a, false)
	}
}

func TestMatchesHost(t *testing.T) {
	f := func(pattern, host string, want bool) {
		t.Helper()
		if got := matchesHost(pattern, host); got != want {
			t.Errorf("%s of %s: got %v", host, pattern, got)
		}
	}
	f("a.example.com", "a.example.com", true)
	f("a.example.com", "A.Example.com:8443", true)
	f("a.example.com:443", "a.example.com:8443", false)
	f("a.example.com:443", "a.example.com:443", true)
	f("a.example.com", "a.example.com.evil.net", false)
	f("10.1.2.3", "10.1.2.3:80", true)
}

func TestHTTPSendRefusesLocalAddresses(t *testing.T) {
	var reached atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer srv.Close()
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Entrypoint: "p/allow", HTTPSend: HTTPSend{Hosts: []string{"127.0.0.1", "localhost"}}}
	g := compileWith(t, cfg, `package p
allow := {"allowed": false, "reason": response.error.message} if {
	response := http.send({"url": input.url, "method": "GET", "raise_error": false, "timeout": "5s"})
}`, nil)
	f := func(url, want string) {
		t.Helper()
		if got := evaluate(t, g, fmt.Sprintf(`{"url": %q}`, url)).Verdict.Reason; !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
	f("http://127.0.0.1:"+port, "must not reach loopback")
	f("http://localhost:"+port, "must not reach loopback")
	f("http://10.0.0.9:"+port, "disallowed host")
	f("unix://localhost/tmp/x.sock", "http.send")
	if reached.Load() != 0 {
		t.Error("a loopback address was reached")
	}
}

// A host that accepts and never answers must not hold an evaluation.
func TestHTTPSendToABlackHole(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	g := compileWith(t, Config{Entrypoint: "p/allow", HTTPSend: HTTPSend{Hosts: []string{"127.0.0.1"}}}, fmt.Sprintf(`package p
allow if http.send({"url": "http://%s/", "method": "GET"}).status_code == 200`, l.Addr()), nil)
	g.transport = nil // let it out
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if _, err := g.Evaluate(ctx, "", newRequest(t, "{}")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if d := time.Since(begin); d > 4*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestSchemasAreNotFetched(t *testing.T) {
	var reached atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		_, _ = w.Write([]byte(`{}`))
	}))
	defer srv.Close()
	g := compile(t, fmt.Sprintf(`package p
allow if json.match_schema(input.x, {"$ref": "%s/schema"})[0]`, srv.URL))
	if evaluate(t, g, `{"x": {}}`).Verdict.Allowed || reached.Load() != 0 {
		t.Errorf("a schema was fetched %d times", reached.Load())
	}
}
