package main

import (
	"net/http"
	"path/filepath"
	"testing"
)

// TestServeForwardAuth: the same policy over HTTP, and on_error changes by
// reload.
func TestServeForwardAuth(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.rego")
	policyFile(t, path, "alice")
	yaml := withPolicy(path)
	p := startProc(t, yaml, "ingest.forward_auth.mode=nginx")
	ask := func(user string) (code int, id string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.policing.forward.Addr().String()+"/auth", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Original-URL", "http://shop.example/cart")
		req.Header.Set("X-Original-Method", "GET")
		req.Header.Set("x-user", user)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("X-Tallygate-Decision-Id")
	}
	p.until("alice may pass", func() bool { code, _ := ask("alice"); return code == 200 })
	if code, id := ask("bob"); code != 403 || id == "" {
		t.Errorf("bob: %d, decision %q", code, id)
	}

	p = startProc(t, yaml+"ingest: {forward_auth: {mode: nginx, entrypoint: nonsense}}\n")
	if code, _ := ask("alice"); code != 403 {
		t.Errorf("not judged: %d; want 403", code)
	}
	p.reload(yaml + "ingest: {forward_auth: {mode: nginx, entrypoint: nonsense}, extauthz: {on_error: allow}}\n")
	if code, _ := ask("alice"); code != 200 {
		t.Errorf("not judged, on_error allow: %d; want 200", code)
	}
}
