package main

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallygate/tallygate/policy"
)

func TestRecordQuery(t *testing.T) {
	want := policy.RecordOptions{
		For: 90 * time.Second, Count: 7, Share: 0.25, MaxPerSecond: 3, Entrypoint: "admin", Verdict: "deny", Rule: "a.b:1",
		MaskHeaders: []string{"x-a", "x-b"}, Mask: []string{"parsed_body.card"},
	}
	u := strings.TrimPrefix(recordQuery(&want), recordPath+"?")
	q := mustQuery(t, u)
	if got, err := recordOptions(q); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := recordOptions(mustQuery(t, "for=x&count=y")); err == nil || !strings.Contains(err.Error(), "for: ") || !strings.Contains(err.Error(), "share: ") {
		t.Errorf("got %v", err)
	}
}

// TestRecordAndReplay: what a running server answers is recorded, masked, within
// bounds, only for who has the token; and two policies judge it.
func TestRecordAndReplay(t *testing.T) {
	dir := t.TempDir()
	one, two, file, token := filepath.Join(dir, "one.rego"), filepath.Join(dir, "two.rego"), filepath.Join(dir, "checks.json"), filepath.Join(dir, "token")
	policyFile(t, one, "alice")
	policyFile(t, two, "bob")
	if err := os.WriteFile(token, []byte("0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProc(t, withPolicy(one))
	c := p.checks(t)
	p.until("alice may pass", func() bool { return allows(t, c, "alice") })
	server := []string{"record", "--server", p.admin.Addr().String()}

	f := func(wantCode int, want string, args ...string) {
		t.Helper()
		out, err := command(t, append(server, args...)...).CombinedOutput()
		if code := exitCode(err); code != wantCode || !strings.Contains(string(out), want) {
			t.Errorf("record %q: exit code %d; want %d and %q\n%s", args, code, wantCode, want, out)
		}
	}
	f(1, "token", "--for", "1s")
	f(2, "count: 0", "--token-file", token, "--count", "0")
	if err := os.WriteFile(file, bytes.Repeat([]byte("of an earlier recording\n"), 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	f(3, "nothing was recorded", "--token-file", token, "--for", "10ms", "--entrypoint", "none", "-w", file)
	if b, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(b, []byte("of an earlier")) {
		t.Errorf("a recording of nothing left %d bytes of the earlier one, %v", len(b), err)
	}

	var notes bytes.Buffer
	cmd := command(t, append(server, "--token-file", token, "--for", "30s", "--count", "20", "-w", file)...)
	cmd.Stderr = &notes
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var over atomic.Bool
	done := make(chan error, 1)
	go func() {
		done <- cmd.Wait()
		over.Store(true)
	}()
	p.until("twenty are recorded", func() bool {
		allows(t, c, "alice")
		allows(t, c, "carol")
		return over.Load()
	})
	if err := <-done; err != nil || !strings.Contains(notes.String(), "20 recorded (count)") {
		t.Errorf("%v: %s", err, &notes)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n != 20 {
		t.Errorf("%d lines", n)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	out, err := command(t, "policy", "diff", "--old", one, "--new", two, "--log", file).CombinedOutput()
	if code := exitCode(err); code != 3 || !strings.Contains(string(out), "allow→deny") || !strings.Contains(string(out), "20 requests judged by both") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// TestDiffOfPlainRequests: requests written by hand are replayed too, by route, and
// what was masked is said.
func TestDiffOfPlainRequests(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := write("one.rego", "package envoy.authz\nallow if input.attributes.request.http.headers.authorization")
	two := write("two.rego", "package envoy.authz\nallow if input.parsed_path[0] == \"public\"")
	log := write("requests.json", `{"path": "/orders/7?x=1", "headers": {"authorization": "x"}, "principal": "spiffe://td/a"}
{"path": "/orders/8", "headers": {"authorization": "x"}, "principal": "spiffe://td/a"}
{"verdict": "allow", "input": {"parsed_path": ["public"], "attributes": {"request": {"http": {"path": "/public", "method": "GET", "headers": {"authorization": "[masked]"}}}}}}
{"path": "/public"}
{"verdict": "allow"}
`)
	out, err := command(t, "policy", "diff", "--old", one, "--new", two, "--log", log).CombinedOutput()
	for _, want := range []string{
		"allow→deny  2         GET     localhost  /orders/{}  spiffe://td/a", "/orders/7?x=1", "deny→allow  1         GET     localhost  /public",
		"4 requests judged by both, 1 records without", "in 1 of them something that a policy reads was masked",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code := exitCode(err); code != 3 {
		t.Errorf("exit code %d", code)
	}
}

func mustQuery(t *testing.T, s string) url.Values {
	t.Helper()
	q, err := url.ParseQuery(s)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
