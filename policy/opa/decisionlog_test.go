package opa

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"
)

func TestDecisionLogs(t *testing.T) {
	bundle := tarball(t, map[string]string{
		"/p.rego":    "package p\nallow if true",
		"/mask.rego": "package system.log\nmask contains \"/input/secret\"\ndrop if input.input.boring",
	})
	uploads := make(chan []map[string]any, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write(bundle)
			return
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		var events []map[string]any
		if err := json.NewDecoder(z).Decode(&events); err != nil {
			t.Error(err)
		}
		uploads <- events
	}))
	defer srv.Close()
	conf := filepath.Join(t.TempDir(), "opa.yaml")
	write(t, conf, fmt.Sprintf(`
services: {s: {url: %q}}
bundles: {authz: {service: s, resource: /b.tar.gz, polling: {min_delay_seconds: 60, max_delay_seconds: 60}}}
decision_logs: {service: s, reporting: {min_delay_seconds: 1, max_delay_seconds: 1}}
`, srv.URL))
	l, out := run(t, Config{OPAConfig: conf, Entrypoint: "p/allow"})
	next(t, out)
	if !l.LogsDecisions() {
		t.Fatal("no decision logs")
	}
	for _, in := range []string{`{"boring": true}`, `{"secret": 1, "open": 2}`} {
		ev := &Event{ID: "d1", Time: time.Now(), Revision: "r", Input: json.RawMessage(in), Result: true}
		if err := l.LogDecision(context.Background(), ev); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case events := <-uploads:
		input, _ := events[0]["input"].(map[string]any)
		if len(events) != 1 || events[0]["decision_id"] != "d1" || events[0]["path"] != "p/allow" || events[0]["result"] != true ||
			len(input) != 1 || input["open"] != 2.0 {
			t.Errorf("got %v", events)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was uploaded")
	}

	plain, _ := run(t, Config{Paths: []string{t.TempDir()}, Entrypoint: "p/allow"})
	if err := plain.LogDecision(context.Background(), &Event{}); !errors.Is(err, ErrNoDecisionLogs) {
		t.Errorf("got %v", err)
	}
}
