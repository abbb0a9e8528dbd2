package query

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/jaegermodel"
	"github.com/tallygate/tallygate/storage"
	"github.com/tallygate/tallygate/storage/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// base is a start of spans, in µs.
const base = 1_700_000_000_000_000

func open(t *testing.T, cfg Config, spans ...*jaegermodel.Span) (*Handler, *prometheus.Registry) {
	t.Helper()
	c := local.DefaultConfig()
	c.Directory, c.MinFreeBytes = t.TempDir(), 0
	store, err := local.Open(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := store.Write(t.Context(), spans); err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	h, err := New(cfg, func() storage.Reader { return store }, Options{Metrics: reg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return h, reg
}

func get(t *testing.T, h http.Handler, path string, query ...string) *httptest.ResponseRecorder {
	t.Helper()
	v := url.Values{}
	for i := 0; i < len(query); i += 2 {
		v.Add(query[i], query[i+1])
	}
	if len(v) > 0 {
		path += "?" + v.Encode()
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func trace() []*jaegermodel.Span {
	id := jaegermodel.TraceID{0: 0xab, 15: 1}
	web := &jaegermodel.Process{Service: "web/ü", Tags: []jaegermodel.KeyValue{jaegermodel.StringTag("pod", "a")}}
	cart := &jaegermodel.Process{Service: "cart"}
	return []*jaegermodel.Span{
		{
			TraceID: id, SpanID: 1, Operation: "GET /", Start: base, Duration: 1000, Process: web,
			Tags: []jaegermodel.KeyValue{
				jaegermodel.StringTag("span.kind", "client"), jaegermodel.Int64Tag("big", 1<<60), jaegermodel.Int64Tag("a", 1),
				jaegermodel.BinaryTag("bin", []byte{1, 2}), jaegermodel.Float64Tag("f", 0.5), jaegermodel.BoolTag("error", true),
			},
			Logs: []jaegermodel.Log{{Time: base + 1, Fields: []jaegermodel.KeyValue{jaegermodel.StringTag("a", "x"), jaegermodel.StringTag("event", "e")}}},
		},
		{
			TraceID: id, SpanID: 2, Operation: "GET /cart", Start: base + 100, Duration: 500, Process: cart,
			Refs: []jaegermodel.Ref{{TraceID: id, SpanID: 1}},
			Tags: []jaegermodel.KeyValue{jaegermodel.StringTag("span.kind", "server")},
		},
	}
}

func TestAPI(t *testing.T) {
	h, reg := open(t, DefaultConfig(), trace()...)
	f := func(status int, want, path string, query ...string) {
		t.Helper()
		w := get(t, h, path, query...)
		if w.Code != status || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("%s %v\ngot  %d %s\nwant %d %s", path, query, w.Code, w.Body, status, want)
		}
	}
	empty := func(code, msg string) string {
		return `{"data":null,"total":0,"limit":0,"offset":0,"errors":[{"code":` + code + `,"msg":"` + msg + `"}]}`
	}
	f(200, `{"data":["cart","web/ü"],"total":2,"limit":0,"offset":0,"errors":null}`, "/api/services")
	f(200, `{"data":["GET /"],"total":1,"limit":0,"offset":0,"errors":null}`, "/api/services/web%2F%C3%BC/operations")
	f(200, `{"data":[],"total":0,"limit":0,"offset":0,"errors":null}`, "/api/services/none/operations")
	f(200, `{"data":[{"name":"GET /","spanKind":"client"}],"total":1,"limit":0,"offset":0,"errors":null}`, "/api/operations", "service", "web/ü")
	f(200, `{"data":[],"total":0,"limit":0,"offset":0,"errors":null}`, "/api/operations", "service", "web/ü", "spanKind", "server")
	f(400, empty("400", "parameter 'service' is required"), "/api/operations")

	full := `{"traceID":"ab000000000000000000000000000001","spans":[` +
		`{"traceID":"ab000000000000000000000000000001","spanID":"0000000000000001","operationName":"GET /","references":[],"startTime":1700000000000000,"duration":1000,` +
		`"tags":[{"key":"a","type":"int64","value":1},{"key":"big","type":"int64","value":"1152921504606846976"},{"key":"bin","type":"binary","value":"AQI="},` +
		`{"key":"error","type":"bool","value":true},{"key":"f","type":"float64","value":0.5},{"key":"span.kind","type":"string","value":"client"}],` +
		`"logs":[{"timestamp":1700000000000001,"fields":[{"key":"event","type":"string","value":"e"},{"key":"a","type":"string","value":"x"}]}],"processID":"p1","warnings":null},` +
		`{"traceID":"ab000000000000000000000000000001","spanID":"0000000000000002","operationName":"GET /cart","references":[{"refType":"CHILD_OF","traceID":"ab000000000000000000000000000001","spanID":"0000000000000001"}],` +
		`"startTime":1700000000000100,"duration":500,"tags":[{"key":"span.kind","type":"string","value":"server"}],"logs":[],"processID":"p2","warnings":null}],` +
		`"processes":{"p1":{"serviceName":"web/ü","tags":[{"key":"pod","type":"string","value":"a"}]},"p2":{"serviceName":"cart","tags":[]}},"warnings":null}`
	found := `{"data":[` + full + `],"total":0,"limit":0,"offset":0,"errors":null}`
	none := `{"data":[],"total":0,"limit":0,"offset":0,"errors":null}`
	id := "ab000000000000000000000000000001"
	f(200, found, "/api/traces/"+id)
	f(404, empty("404", "trace not found"), "/api/traces/1")
	f(400, empty("400", `strconv.ParseUint: parsing \"xyz\": invalid syntax`), "/api/traces/xyz")
	f(400, empty("400", "TraceID cannot be longer than 32 hex characters: "+strings.Repeat("0", 33)), "/api/traces/"+strings.Repeat("0", 33))
	f(400, empty("400", `unable to parse param 'raw': strconv.ParseBool: parsing \"x\": invalid syntax`), "/api/traces/"+id, "raw", "x")
	some := `{"data":[` + full + `],"total":0,"limit":0,"offset":0,"errors":[{"msg":"trace not found","traceID":"0000000000000001"}]}`
	f(200, some, "/api/traces/"+id+",1")
	f(200, some, "/api/traces", "traceID", id, "traceID", "1")
	f(400, empty("400", `cannot parse traceID param: strconv.ParseUint: parsing \"\": invalid syntax`), "/api/traces", "traceID", "")

	search := func(want string, more ...string) {
		t.Helper()
		f(200, want, "/api/traces", append([]string{"service", "web/ü", "start", "1699999999000000", "end", "1700000001000000"}, more...)...)
	}
	search(found)
	search(found, "operation", "GET /", "limit", "1", "lookback", "custom")
	search(none, "operation", "GET /cart")
	search(found, "tags", `{"pod":"a","a":"1"}`)
	search(found, "tag", "event:e", "tag", "error:true")
	search(none, "tags", `{"pod":"b"}`)
	search(found, "minDuration", "1ms", "maxDuration", "1ms")
	search(none, "minDuration", "1.1ms")
	f(200, none, "/api/traces", "service", "web/ü") // of the last two days
	bad := func(msg string, more ...string) {
		t.Helper()
		f(400, empty("400", msg), "/api/traces", append([]string{"service", "web/ü"}, more...)...)
	}
	f(400, empty("400", "parameter 'service' is required"), "/api/traces")
	bad(`unable to parse param 'start': strconv.ParseInt: parsing \"x\": invalid syntax`, "start", "x")
	bad(`strconv.ParseInt: parsing \"x\": invalid syntax`, "limit", "x")
	bad(`unable to parse param 'minDuration': time: invalid duration \"x\"`, "minDuration", "x")
	bad(`'maxDuration' should be greater than 'minDuration'`, "minDuration", "2s", "maxDuration", "1s")
	bad(`malformed 'tag' parameter, expecting key:value, received: x`, "tag", "x")
	bad(`malformed 'tags' parameter, cannot unmarshal JSON: invalid character 'x' looking for beginning of value`, "tags", "x")

	now := time.Now().UnixMilli()
	ms := func(n int64) string { b, _ := json.Marshal(n); return string(b) }
	f(200, `{"data":[{"parent":"web/ü","child":"cart","callCount":1}],"total":0,"limit":0,"offset":0,"errors":null}`, "/api/dependencies", "endTs", ms(now+1000), "lookback", "3600000")
	f(200, none, "/api/dependencies", "endTs", ms(now+1000), "service", "other")
	f(200, none, "/api/dependencies", "endTs", ms(now-7_200_000), "lookback", "1000")
	f(400, empty("400", `unable to parse param 'endTs': strconv.ParseInt: parsing \"x\": invalid syntax`), "/api/dependencies", "endTs", "x")

	if n := testutil.ToFloat64(h.m.requests.WithLabelValues("/api/services", "200")); n != 1 {
		t.Errorf("%v requests of /api/services are counted; want 1", n)
	}
	if n, err := testutil.GatherAndCount(reg, "tallygate_storage_query_duration_seconds"); err != nil || n != 1 {
		t.Errorf("durations: %d, %v", n, err)
	}
	if w := get(t, h, "/api/services", "prettyPrint", "true"); !strings.Contains(w.Body.String(), "\n    \"data\"") {
		t.Errorf("prettyPrint: %s", w.Body)
	}
}

func TestNoStore(t *testing.T) {
	h, err := New(DefaultConfig(), func() storage.Reader { return nil }, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if w := get(t, h, "/api/services"); w.Code != 503 {
		t.Errorf("without a store: %d", w.Code)
	}
	h.slots = make(chan struct{}) // all taken
	h.cfg.Timeout = time.Nanosecond
	if w := get(t, h, "/api/services"); w.Code != 503 {
		t.Errorf("with too many requests: %d", w.Code)
	}
}

func TestTraceForOthers(t *testing.T) {
	h, _ := open(t, DefaultConfig(), trace()...)
	got, err := h.Trace(t.Context(), "ab000000000000000000000000000001")
	if err != nil || len(got.Spans) != len(trace()) || got.Processes[got.Spans[0].ProcessID].Service != "web/ü" {
		t.Errorf("%+v, %v", got, err)
	}
	closed, err := New(DefaultConfig(), func() storage.Reader { return nil }, Options{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for id, from := range map[string]*Handler{"ab000000000000000000000000000002": h, "not an id": h, "ab000000000000000000000000000001": closed} {
		if _, err := from.Trace(t.Context(), id); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %v; want that there is none", id, err)
		}
	}
}

func TestConfig(t *testing.T) {
	c := Config{MaxClockSkewAdjust: -1}
	err := c.Validate()
	for _, want := range []string{"store: ", "max_traces: ", "max_concurrent: ", "timeout: ", "max_clock_skew_adjust: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}
