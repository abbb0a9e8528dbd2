package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// opaService serves a bundle and takes decision logs and status reports, as
// OPA's management APIs have them.
type opaService struct {
	*httptest.Server
	mu      sync.Mutex
	events  []map[string]any
	status  []byte
	refused string
}

func startOPAService(t *testing.T, files map[string]string) *opaService {
	t.Helper()
	var bundle bytes.Buffer
	z := gzip.NewWriter(&bundle)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	s := &opaService{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /bundle.tar.gz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bundle.Bytes()) })
	mux.HandleFunc("POST /logs", func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var events []map[string]any
		z, err := gzip.NewReader(r.Body)
		if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
			err = json.NewDecoder(z).Decode(&events)
		}
		if err != nil || len(events) == 0 {
			s.refused = fmt.Sprint(r.Header, err)
		}
		s.events = append(s.events, events...)
	})
	mux.HandleFunc("POST /status", func(_ http.ResponseWriter, r *http.Request) {
		var report bytes.Buffer
		if _, err := report.ReadFrom(r.Body); err == nil {
			s.mu.Lock()
			s.status = report.Bytes()
			s.mu.Unlock()
		}
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *opaService) uploaded() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]map[string]any(nil), s.events...)
}

// TestDecisionLogService: decisions go to OPA's decision-log service in gzip'd
// batches, through the bundle's own mask and drop; and its status to the status
// service. What waits at the end is sent before the process ends.
func TestDecisionLogService(t *testing.T) {
	s := startOPAService(t, map[string]string{
		"/.manifest": `{"revision": "r7", "roots": ["envoy", "system"]}`,
		"/p.rego":    fmt.Sprintf(byUser, "alice"),
		"/log.rego": `package system.log
mask contains "/input/attributes/request/http/headers/x-secret"
drop if input.input.attributes.request.http.headers["x-user"] == "boring"
`,
	})
	conf := filepath.Join(t.TempDir(), "opa.yaml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, `
services: {s: {url: %q}}
bundles: {authz: {service: s, resource: /bundle.tar.gz, polling: {min_delay_seconds: 60, max_delay_seconds: 60}}}
decision_logs: {service: s, reporting: {min_delay_seconds: 1, max_delay_seconds: 1}}
status: {service: s}
`, s.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProc(t, fmt.Sprintf("policy: {opa_config: %q, decision_log: {sinks: [opa], input_sample: 1}}\n", conf))
	p.until("readiness names the bundle", func() bool {
		code, body := p.get(p.adminURL("/readyz?verbose"))
		return code == 200 && strings.Contains(body, "[+] policy ok: revision r7")
	})
	c := p.checks(t)
	ids := map[string]string{} // of users
	ask := func(user string) {
		t.Helper()
		req := requestOf(user)
		headers := req.GetAttributes().GetRequest().GetHttp().GetHeaders()
		headers["x-secret"], headers["authorization"] = "s3cret-of-the-policy", "Bearer s3cret-of-ours"
		resp, err := c.Check(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		ids[user] = resp.GetDynamicMetadata().GetFields()["decision_id"].GetStringValue()
	}
	for _, user := range []string{"alice", "bob", "boring"} {
		ask(user)
	}
	p.until("two decisions are uploaded", func() bool { return len(s.uploaded()) >= 2 })
	p.until("the status is reported", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return strings.Contains(string(s.status), `"active_revision":"r7"`)
	})

	ask("last")
	p.cancel()
	p.done <- <-p.done // run has returned

	for _, ev := range s.uploaded() {
		text, err := json.Marshal(ev)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "s3cret") {
			t.Errorf("a secret was sent: %s", text)
		}
		user := ""
		for u, id := range ids {
			if ev["decision_id"] == id {
				user = u
			}
		}
		delete(ids, user)
		result, _ := ev["result"].(map[string]any)
		custom, _ := ev["custom"].(map[string]any)
		if user == "" || ev["path"] != "envoy/authz/allow" || ev["revision"] != "r7" || ev["input"] == nil ||
			result["allowed"] != (user == "alice") || !strings.HasPrefix(fmt.Sprint(custom["rule"]), "envoy.authz.allow") {
			t.Errorf("of %q: %s", user, text)
		}
	}
	if len(ids) != 1 || ids["boring"] == "" {
		t.Errorf("not sent: %v; want only what the policy drops", ids)
	}
	if s.refused != "" {
		t.Errorf("not a batch: %s", s.refused)
	}
}
