//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"reflect"
	"sort"
	"strconv"
	"testing"
	"time"

	"github.com/tallygate/tallygate/storage"
	"github.com/tallygate/tallygate/storage/query"
	"github.com/tallygate/tallygate/test/testbed"
)

// TestSpansInStores: the same two hops in the local store, in Cassandra, and in a
// Jaeger that reads our Cassandra tables. Whatever is asked, Jaeger and our query
// API over either store answer the same, field by field.
//
//	two hops ─▶ Tallygate ─┬▶ local store ─▶ its query API ──────┐
//	                       └▶ Cassandra ─┬▶ our query API ───────┼─ equal
//	                                     └▶ Jaeger ─▶ query API ─┘
func TestSpansInStores(t *testing.T) {
	t.Parallel()
	c := StartCassandra(t)
	cfg := cassandraConfig(c)
	endpoint, err := testbed.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	w := startTraced(t, tracedConfig{
		tracer: testbed.TracerNone, spans: everything(),
		exporters: object{
			"local": object{"directory": t.TempDir(), "min_free_bytes": 0},
			"cassandra": object{
				"connection": object{"servers": array{c.Addr}}, "query": object{"timeout": "10s"},
				"dependencies": object{"interval": "1s"},
			},
		},
		more: object{"query": object{"endpoint": endpoint, "store": "local"}},
	})
	for _, path := range []string{"/next/status/200", "/next/status/418", "/status/503", "/hang/50"} {
		code, err := w.driver.Get(t.Context(), testbed.HostFrontend, path)
		if err != nil {
			t.Fatalf("%s: %d, %v", path, code, err)
		}
	}
	local := QueryAPI{"http://" + endpoint}
	reader := cassandraReader(t, cfg)
	h, err := query.New(query.DefaultConfig(), func() storage.Reader { return reader }, query.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	ours := QueryAPI{srv.URL}
	for _, api := range []QueryAPI{local, ours} {
		tr := findTrace(t, &testbed.JaegerAPI{URL: api.URL}, "backend", "http.response.status_code=418", 4)
		if got := tr.Tree(); got != twoHops {
			t.Errorf("the tree is\n%swant\n%s", got, twoHops)
		}
	}
	jaeger := QueryAPI{StartJaeger(t, testbed.JaegerConfig{Cassandra: c.Addr, Keyspace: cfg.Schema.Keyspace}).URL}

	now := time.Now()
	span := func(more ...string) url.Values {
		v := url.Values{"start": {strconv.FormatInt(now.Add(-time.Hour).UnixMicro(), 10)}, "end": {strconv.FormatInt(now.Add(time.Minute).UnixMicro(), 10)}, "limit": {"1000"}}
		for i := 0; i < len(more); i += 2 {
			v.Add(more[i], more[i+1])
		}
		return v
	}
	found, err := jaeger.FindTraces(t.Context(), storage.Query{Service: "backend", Start: now.Add(-time.Hour), End: now.Add(time.Minute), Limit: 1})
	if err != nil || len(found) == 0 {
		t.Fatalf("Jaeger finds %d traces, %v", len(found), err)
	}
	id := found[0].ID().String()
	deps := url.Values{"endTs": {strconv.FormatInt(now.Add(time.Hour).UnixMilli(), 10)}, "lookback": {"7200000"}}
	for _, ask := range []struct {
		path string
		with url.Values
	}{
		{"/api/services", nil},
		{"/api/services/frontend/operations", nil},
		{"/api/operations", url.Values{"service": {"frontend"}}},
		{"/api/operations", url.Values{"service": {"frontend"}, "spanKind": {"server"}}},
		{"/api/operations", nil},
		{"/api/traces/" + id, nil},
		{"/api/traces/" + id, url.Values{"raw": {"true"}}},
		{"/api/traces/0000000000000001", nil},
		{"/api/traces/xyz", nil},
		{"/api/traces", url.Values{"traceID": {id, "1"}}},
		{"/api/traces", span("service", "frontend")},
		{"/api/traces", span("service", "frontend", "operation", "GET")},
		{"/api/traces", span("service", "frontend", "tags", `{"http.response.status_code":"503"}`)},
		{"/api/traces", span("service", "frontend", "tag", "http.response.status_code:503", "tag", "span.kind:client")},
		{"/api/traces", span("service", "frontend", "minDuration", "40ms")},
		{"/api/traces", span("service", "client", "maxDuration", "10s", "minDuration", "40ms")},
		{"/api/traces", span("service", "nobody")},
		{"/api/traces", span("tag", "a:b")},
		{"/api/traces", span("service", "frontend", "tag", "x")},
		{"/api/traces", span("service", "frontend", "tags", "x")},
		{"/api/traces", span("service", "frontend", "limit", "x")},
		{"/api/traces", span("service", "frontend", "minDuration", "2s", "maxDuration", "1s")},
		{"/api/dependencies", deps},
		{"/api/dependencies", url.Values{"endTs": {"x"}}},
	} {
		// Both stores, and the edges of the last second, are there in the end.
		Eventually(t, 60*time.Second, func(ctx context.Context) error {
			want, err := normal(ctx, jaeger, ask.path, ask.with)
			if err != nil {
				return err
			}
			for name, api := range map[string]QueryAPI{"Cassandra": ours, "local store": local} {
				got, err := normal(ctx, api, ask.path, ask.with)
				if err != nil {
					return err
				}
				if !reflect.DeepEqual(got, want) {
					g, _ := json.Marshal(got)
					w, _ := json.Marshal(want)
					return fmt.Errorf("%s?%s over %s:\ngot  %.3000s\nwant %.3000s", ask.path, ask.with.Encode(), name, g, w)
				}
			}
			return nil
		})
	}
}

// normal is an answer without what has no order: of services, operations, edges
// and traces, and the names that processes have within a trace.
func normal(ctx context.Context, api QueryAPI, path string, with url.Values) (any, error) {
	status, body, err := api.Raw(ctx, path, with)
	if err != nil {
		return nil, err
	}
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Sprint(status, " is not JSON"), nil // what is no route
	}
	list, _ := answer["data"].([]any)
	for _, item := range list {
		trace, ok := item.(map[string]any)
		if !ok || trace["spans"] == nil {
			continue
		}
		processes, _ := trace["processes"].(map[string]any)
		spans, _ := trace["spans"].([]any)
		for _, s := range spans {
			span := s.(map[string]any)
			span["process"] = processes[span["processID"].(string)]
			delete(span, "processID")
		}
		delete(trace, "processes")
		sortJSON(spans)
	}
	sortJSON(list)
	if len(list) == 0 {
		answer["data"] = nil
	}
	return []any{status, answer}, nil
}

func sortJSON(list []any) {
	text := func(i int) []byte { b, _ := json.Marshal(list[i]); return b }
	sort.Slice(list, func(i, j int) bool { return bytes.Compare(text(i), text(j)) < 0 })
}
