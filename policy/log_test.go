package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"log/slog"

	"github.com/tallygate/tallygate/mesh"
)

// logged runs fn with a decider whose log goes to a buffer, and returns the
// lines.
func logged(t *testing.T, change func(*Config), fn func(d *Decider)) (lines []string, d *Decider, reg *prometheus.Registry) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.DecisionLog.Sinks = []string{"stdout"}
	cfg.DecisionLog.InputSample = 0
	if change != nil {
		change(&cfg)
	}
	reg = prometheus.NewRegistry()
	var out bytes.Buffer
	d, err := New(cfg, Options{Metrics: reg, Log: slog.New(slog.DiscardHandler), Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	d.Activate(allowAlice())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()
	fn(d)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(out.String()) {
		lines = append(lines, line)
	}
	return lines, d, reg
}

func TestDecisionLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines, d, _ := logged(t, nil, func(d *Decider) {
			d.current.Load().revision = `r"1`
			for _, user := range []string{"alice", "alice", "bob\xff"} {
				in := &Input{mesh.Value{Kind: mesh.KindObject, Fields: []mesh.Field{{Name: "user", Value: mesh.Value{Kind: mesh.KindString, Text: user}}}}}
				if _, err := d.Decide(t.Context(), &mesh.Query{Request: in, TraceID: "0af7"}); err != nil {
					t.Error(err)
				}
			}
			_, _ = d.Decide(t.Context(), &mesh.Query{Entrypoint: "none", Request: input(t, "{}"), Listener: mesh.ListenerForwardAuth})
		})
		if len(lines) != 4 {
			t.Fatalf("%d lines: %q", len(lines), lines)
		}
		kept := d.LastDecisions()
		for i, line := range lines {
			var r Record
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			again, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if string(again)+"\n" != line {
				t.Errorf("the line\n%sis not what encoding/json writes:\n%s", line, again)
			}
			inMemory, _ := json.Marshal(kept[len(kept)-1-i])
			if !bytes.Equal(inMemory, again) {
				t.Errorf("in memory is\n%s; want\n%s", inMemory, again)
			}
			switch i {
			case 0, 1:
				if r.Verdict != "allow" || r.Hit != (i == 1) || r.TraceID != "0af7" || r.Revision != `r"1` || r.Rule != "authz/allow" || r.Input != nil {
					t.Errorf("%+v", r)
				}
			case 2:
				if r.Verdict != "deny" || string(r.Input) != `{"user":"bob\ufffd"}` {
					t.Errorf("%+v, %s", r, r.Input)
				}
			case 3:
				if r.Verdict != "error" || r.ID != "" || r.Listener != "forward_auth" || !strings.Contains(r.Reason, "no such entrypoint") {
					t.Errorf("%+v", r)
				}
			}
		}
	})
}

func TestDecisionLogBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines, _, reg := logged(t, func(c *Config) {
			c.DecisionLog.MaxRecordsPerSecond, c.DecisionLog.MaxInputsPerSecond = 5, 3
		}, func(d *Decider) {
			for range 2 {
				for range 20 {
					decide(t, d, input(t, `{"user": "alice"}`))
					decide(t, d, input(t, `{"user": "bob"}`))
				}
				time.Sleep(time.Second)
			}
		})
		var allowed, denied, inputs, omitted int
		for _, line := range lines {
			var r Record
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			switch {
			case r.Verdict == "allow":
				allowed++
			case r.Input != nil:
				inputs++
			case r.InputOmitted == "budget":
				omitted++
			}
			if r.Verdict == "deny" {
				denied++
			}
		}
		if allowed != 1+5+5 || denied != 40 || inputs != 6 || omitted != 34 {
			t.Errorf("%d allowed, %d denied, %d with input, %d without; want 11, 40, 6, 34", allowed, denied, inputs, omitted)
		}
		if n := value(t, reg, "decision_log_records_total", "result", "sampled_out"); n != 29 {
			t.Errorf("%v sampled out; want 29", n)
		}
	})
}

// TestDecisionLogIsBounded: nobody writes, so the queue fills.
func TestDecisionLogIsBounded(t *testing.T) {
	d, reg := newTestDecider(t, func(c *Config) { c.DecisionLog.QueueSize = 10 })
	d.Activate(allowAlice())
	for range 25 {
		decide(t, d, input(t, `{"user": "bob"}`))
	}
	if n := value(t, reg, "decision_log_records_total", "result", "queue_full"); n != 15 {
		t.Errorf("%v dropped; want 15", n)
	}
}

func TestMask(t *testing.T) {
	f := func(m *mask, in, want string) {
		t.Helper()
		if got := maskedInput(input(t, "%s", in), m, 1<<20); string(got) != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	in := `{"attributes":{"request":{"http":{"body":"b","headers":{"Authorization":"x","cookie":"x","proxy-authorization":"x","x-forwarded-client-cert":"x","x-key":"k","x-user":"u"},"path":"/p?q=1"}}},"parsed_body":{"a":[1,true,null],"password":"p"}}`
	f(newMask(nil, nil), in,
		`{"attributes":{"request":{"http":{"body":"b","headers":{"Authorization":"[masked]","cookie":"[masked]","proxy-authorization":"[masked]","x-forwarded-client-cert":"[masked]","x-key":"k","x-user":"u"},"path":"/p?q=1"}}},"parsed_body":{"a":[1,true,null],"password":"p"}}`)
	f(newMask([]string{"X-Key"}, []string{"input.parsed_body.password"}), in,
		`{"attributes":{"request":{"http":{"body":"[masked]","headers":{"Authorization":"[masked]","cookie":"[masked]","proxy-authorization":"[masked]","x-forwarded-client-cert":"[masked]","x-key":"[masked]","x-user":"u"},"path":"/p?q=1"}}},"parsed_body":{"a":[1,true,null],"password":"[masked]"}}`)
	if got := maskedInput(input(t, "%s", in), newMask(nil, nil), 100); got != nil {
		t.Errorf("an input beyond the limit: %s", got)
	}
}

func TestFileSink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.json")
	for range 2 { // appended to
		_, _, _ = logged(t, func(c *Config) { c.DecisionLog.Sinks = []string{"file:" + path} }, func(d *Decider) {
			decide(t, d, input(t, `{"user": "alice"}`))
		})
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n != 2 || info.Mode().Perm() != 0o600 {
		t.Errorf("%d lines, mode %o; want 2, 600", n, info.Mode().Perm())
	}
	cfg := DefaultConfig()
	cfg.DecisionLog.Sinks = []string{"file:" + filepath.Join(path, "below")}
	if _, err := New(cfg, Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("a file that cannot be opened was accepted")
	}
}

// Nobody waits for what takes records: not even if it takes none.
func TestOPASinkIsOffTheRequestPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.DecisionLog.Sinks, cfg.DecisionLog.QueueSize = []string{SinkOPA}, 2
		reg := prometheus.NewRegistry()
		stuck := make(chan struct{})
		d, err := New(cfg, Options{Metrics: reg, Log: slog.New(slog.DiscardHandler), OPA: func(_ context.Context, r *Record, v *mesh.Verdict) error {
			<-stuck
			if r.ID == "" || v == nil {
				t.Errorf("got %+v, %+v", r, v)
			}
			return errors.New("full")
		}})
		if err != nil {
			t.Fatal(err)
		}
		d.Activate(allowAlice())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.Run(ctx) }()
		began := time.Now()
		for n := range 10 {
			decide(t, d, input(t, `{"user": "%d"}`, n))
			if n == 0 {
				time.Sleep(time.Second) // in the bubble: the worker takes the first and is stuck
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("decisions took %s", took)
		}
		if n := value(t, reg, "decision_log_records_total", LabelResult, "queue_full"); n != 7 {
			t.Errorf("%v dropped; want 7", n)
		}
		close(stuck)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := value(t, reg, "decision_log_records_total", LabelResult, "write_error"); n != 3 {
			t.Errorf("%v write errors; want 3", n)
		}
	})
	cfg := DefaultConfig()
	cfg.DecisionLog.Sinks = []string{SinkOPA}
	if _, err := New(cfg, Options{Metrics: prometheus.NewRegistry()}); err == nil {
		t.Error("a sink that nobody takes from")
	}
}
