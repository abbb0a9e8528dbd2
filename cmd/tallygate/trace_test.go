package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
	"github.com/tallygate/tallygate/storage/local"
	"github.com/tallygate/tallygate/storage/query"
)

// serveSpans serves the query API over a local store with the spans.
func serveSpans(t *testing.T, spans ...*jaegermodel.Span) (url string, store *local.Handle) {
	t.Helper()
	cfg := local.DefaultConfig()
	cfg.Directory, cfg.MinFreeBytes = t.TempDir(), 0
	store, err := local.Open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	if err := store.Write(t.Context(), spans); err != nil {
		t.Fatal(err)
	}
	h, err := query.New(query.DefaultConfig(), func() storage.Reader { return store }, query.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL, store
}

func twoHops(base time.Time, id byte) []*jaegermodel.Span {
	tid := jaegermodel.TraceID{0: 0xab, 15: id}
	child := func(p jaegermodel.SpanID) []jaegermodel.Ref { return []jaegermodel.Ref{{TraceID: tid, SpanID: p}} }
	web, cart := &jaegermodel.Process{Service: "web"}, &jaegermodel.Process{Service: "cart\x1b[2J"}
	us := base.UnixMicro()
	return []*jaegermodel.Span{
		{TraceID: tid, SpanID: 1, Operation: "GET /", Start: us, Duration: 10_000, Process: web},
		{TraceID: tid, SpanID: 2, Operation: "GET /cart", Start: us + 2000, Duration: 4000, Process: web, Refs: child(1)},
		{TraceID: tid, SpanID: 3, Operation: "GET /cart", Start: us + 3000, Duration: 2000, Process: cart, Refs: child(2), Tags: []jaegermodel.KeyValue{
			jaegermodel.BoolTag("error", true), jaegermodel.Int64Tag("http.response.status_code", 503),
		}},
		{TraceID: tid, SpanID: 4, Operation: "GET /ads", Start: us + 7000, Duration: 0, Process: web, Refs: child(1)},
	}
}

// runTrace runs a trace command and returns what it prints.
func runTrace(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	cmd := newRootCommand()
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs(append([]string{"trace"}, args...))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestTraceGet(t *testing.T) {
	base := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.Local)
	url, _ := serveSpans(t, twoHops(base, 1)...)
	got, err := runTrace(t, "get", "--server", url, "ab000000000000000000000000000001")
	if err != nil {
		t.Fatal(err)
	}
	want := `ab000000000000000000000000000001  2026-01-02 03:04:05.678  4 spans, 2 services, 10.00 ms
web GET /               ████████████████████████████████████████████████████   10.00 ms
├ web GET /cart         ··········█████████████████████·····················    4.00 ms
│ └ cart·[2J GET /cart  ···············███████████··························    2.00 ms ✗ 503
└ web GET /ads          ····································█···············       0 µs
`
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got, err = runTrace(t, "get", "--server", url, "-o", "json", "ab000000000000000000000000000001")
	var trace query.Trace
	if err != nil || json.Unmarshal([]byte(got), &trace) != nil || len(trace.Spans) != 4 {
		t.Errorf("json: %s, %v", got, err)
	}
	if got, err = runTrace(t, "get", "--server", url, "--tags", "ab000000000000000000000000000001"); err != nil || !strings.Contains(got, "http.response.status_code = 503") {
		t.Errorf("with tags: %s, %v", got, err)
	}
	for args, problem := range map[string]string{
		"get 1":                            "1: trace not found",
		"get xyz":                          "xyz: strconv.ParseUint",
		"get -o yaml 1":                    "-o yaml: want text or json",
		"get --server ftp://x 1":           "--server ftp://x: want",
		"find --tag x":                     "--tag x: want key=value",
		"find --service web --lookback 1s": "no trace of the last 1s",
		"get --cert-file x 1":              "--cert-file and --key-file go together",
	} {
		list := strings.Fields(args)
		if !strings.Contains(args, "--server") {
			list = append(list, "--server", url)
		}
		if _, err := runTrace(t, list...); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("trace %s: %v; want %q", args, err, problem)
		}
	}
}

func TestTraceColours(t *testing.T) {
	trace := query.Trace{TraceID: "1", Processes: map[string]query.Process{"p1": {Service: "web"}}, Spans: []query.Span{
		{TraceID: "1", SpanID: "1", Operation: "op", ProcessID: "p1", Refs: []query.Reference{{Type: "CHILD_OF", TraceID: "1", SpanID: "2"}}},
		{TraceID: "1", SpanID: "2", Operation: "op", ProcessID: "p1", Refs: []query.Reference{{Type: "CHILD_OF", TraceID: "1", SpanID: "1"}}},
		{TraceID: "1", SpanID: "2", Operation: "op", ProcessID: "p1"},
	}}
	if got := drawTrace(&trace, pen{width: 80}, true); strings.Contains(got, "\x1b") || strings.Count(got, "web op") != 3 {
		t.Errorf("a cycle, and two spans with one id, without colours:\n%s", got)
	}
	if got := drawTrace(&trace, pen{width: 80, colour: true}, false); !strings.Contains(got, "\x1b[") {
		t.Errorf("with colours:\n%s", got)
	}
}

func TestTraceFindAndFollow(t *testing.T) {
	now := time.Now()
	url, store := serveSpans(t, append(twoHops(now.Add(-time.Minute), 1), twoHops(now.Add(-2*time.Minute), 2)...)...)
	got, err := runTrace(t, "find", "--server", url)
	if lines := strings.Split(strings.TrimSpace(got), "\n"); err != nil || len(lines) != 3 || !strings.HasSuffix(lines[1], "01") || !strings.Contains(lines[1], "10.00 ms  4      1       2") {
		t.Errorf("find:\n%s\n%v", got, err)
	}
	if got, err = runTrace(t, "find", "--server", url, "--service", "web", "--min-duration", "5ms", "--draw", "--limit", "1"); err != nil || strings.Count(got, "█") < 10 {
		t.Errorf("find --draw:\n%s\n%v", got, err)
	}

	c := traceClient{server: url, timeout: time.Second}
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var ids []string
	err = follow(ctx, &c, &traceQuery{lookback: time.Hour, limit: 10}, time.Millisecond, func(fresh []query.Trace, _ bool) error {
		for i := range fresh {
			ids = append(ids, fresh[i].TraceID[30:])
		}
		if len(ids) == 2 {
			return store.Write(ctx, twoHops(now, 3))
		}
		cancel()
		return nil
	})
	if err != nil || strings.Join(ids, " ") != "02 01 03" {
		t.Errorf("followed %v, %v; want 02 01 03", ids, err)
	}
	cancel()
}
