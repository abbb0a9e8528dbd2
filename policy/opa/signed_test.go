package opa

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
)

// signed returns a bundle that key has signed; nobody, if key is empty.
func signed(t *testing.T, key, revision, policy string) []byte {
	t.Helper()
	module, err := ast.ParseModule("/p.rego", policy)
	if err != nil {
		t.Fatal(err)
	}
	b := bundle.Bundle{
		Manifest: bundle.Manifest{Revision: revision},
		Data:     map[string]any{},
		Modules:  []bundle.ModuleFile{{URL: "/p.rego", Path: "/p.rego", Raw: []byte(policy), Parsed: module}},
	}
	b.Manifest.Init()
	if key != "" {
		if err := b.GenerateSignature(bundle.NewSigningConfig(key, "HS256", ""), "site", false); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := bundle.NewWriter(&out).Write(b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A bundle that must be signed is refused unless it is, by the right key and as
// it is; the last good one stays in use.
func TestSignedBundles(t *testing.T) {
	const key, policy = "the key of the site, long enough", "package p\nallow if input.revision == %q"
	var body atomic.Value
	var serial atomic.Int64
	serve := func(b []byte) {
		serial.Add(1)
		body.Store(b)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", fmt.Sprintf("%q", fmt.Sprint(serial.Load())))
		_, _ = w.Write(body.Load().([]byte))
	}))
	defer srv.Close()
	serve(signed(t, key, "one", fmt.Sprintf(policy, "one")))
	conf := filepath.Join(t.TempDir(), "opa.yaml")
	write(t, conf, fmt.Sprintf(`
services: {s: {url: %q}}
keys: {site: {algorithm: HS256, key: %q}}
bundles: {authz: {service: s, resource: /b.tar.gz, signing: {keyid: site}, polling: {min_delay_seconds: 1, max_delay_seconds: 1}}}
`, srv.URL, key))
	l, out := run(t, Config{OPAConfig: conf, Entrypoint: "p/allow"})
	g := next(t, out)
	if g.Revision != "one" || !evaluate(t, g, `{"revision": "one"}`).Verdict.Allowed {
		t.Fatalf("got %q", g.Revision)
	}
	refused := func(what, want string, b []byte) {
		t.Helper()
		serve(b)
		wait(t, what+" is refused", func() bool { return strings.Contains(fmt.Sprint(l.Active().Err), want) })
		if l.Active().Generation != g {
			t.Errorf("%s: what is in use changed", what)
		}
	}
	refused("another key", "signature", signed(t, "some other key, long enough too", "bad", fmt.Sprintf(policy, "bad")))
	refused("no signature", "missing .signatures.json", signed(t, "", "bad", fmt.Sprintf(policy, "bad")))
	refused("a changed policy", "digest", altered(t, signed(t, key, "two", fmt.Sprintf(policy, "two"))))

	serve(signed(t, key, "three", fmt.Sprintf(policy, "three")))
	if g = next(t, out); g.Revision != "three" || l.Active().Err != nil {
		t.Errorf("got %q, %v", g.Revision, l.Active().Err)
	}
}

// altered changes a policy within a bundle, after it was signed.
func altered(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var plain, out bytes.Buffer
	if _, err := plain.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	w := gzip.NewWriter(&out)
	if _, err := w.Write(bytes.Replace(plain.Bytes(), []byte(`== "two"`), []byte(`!= "two"`), 1)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
