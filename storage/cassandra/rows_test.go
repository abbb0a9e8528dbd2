package cassandra

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/jaegermodel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func span() *jaegermodel.Span {
	return &jaegermodel.Span{
		TraceID: jaegermodel.TraceID{15: 1}, SpanID: 1<<64 - 1, Operation: "GET", Start: 1_700_000_000_000_001, Duration: 7,
		Tags: []jaegermodel.KeyValue{
			jaegermodel.StringTag("span.kind", "server"), jaegermodel.Int64Tag("code", 200), jaegermodel.StringTag("pod", "a"),
			jaegermodel.StringTag("long", strings.Repeat("x", 256)), jaegermodel.StringTag("json", `{"a":1}`),
			jaegermodel.StringTag("nearly", `{"a":`), jaegermodel.BinaryTag("bin", []byte("x")), jaegermodel.StringTag("secret", "x"),
		},
		Logs:     []jaegermodel.Log{{Fields: []jaegermodel.KeyValue{jaegermodel.StringTag("event", "retry")}}},
		Process:  &jaegermodel.Process{Service: "cart", Tags: []jaegermodel.KeyValue{jaegermodel.StringTag("pod", "a")}},
		Warnings: []string{"odd"},
	}
}

func TestRows(t *testing.T) {
	f := func(change func(*IndexConfig, *jaegermodel.Span), want ...string) {
		t.Helper()
		cfg, s := DefaultConfig().Index, span()
		cfg.TagDeny = []string{"secret"}
		change(&cfg, s)
		var skipped atomic.Int64
		var got []string
		newIndexer(cfg, &skipped).rows(s, 23, func(into int, partition string, values []any) {
			if partition == "" {
				t.Errorf("row into %s has no partition", tableNames[into])
			}
			row := tableNames[into]
			switch into {
			case intoTraces:
				row += fmt.Sprint(" ", values[1], " ", values[2], " ", values[6], " ", len(values))
			case intoTagIndex:
				row += fmt.Sprint(" ", values[1], "=", values[2])
			case intoDurationIndex:
				row += fmt.Sprint(" ", values[1], " ", values[2].(time.Time).Format("15:04"), " ", values[3])
			default:
				row += fmt.Sprint(" ", values[1])
			}
			got = append(got, row)
		})
		if !slices.Equal(got, want) {
			t.Errorf("rows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	const trace = "traces -1 23 1700000000000001 12"
	none := func(c *IndexConfig) { *c = IndexConfig{BatchRows: 1} }
	f(func(*IndexConfig, *jaegermodel.Span) {}, trace, "service_name_index 3", "service_operation_index GET",
		"duration_index  22:00 7", "duration_index GET 22:00 7",
		"tag_index pod=a", "tag_index span.kind=server", "tag_index code=200", `tag_index nearly={"a":`, "tag_index event=retry")
	f(func(c *IndexConfig, s *jaegermodel.Span) {
		none(c)
		c.Durations = true
		s.Start += 30 * 60 * 1e6 // rounded, not cut
		s.Operation = ""
	}, trace[:len("traces -1 23 1700")]+"001800000001 12", "duration_index  23:00 7")
	f(func(c *IndexConfig, _ *jaegermodel.Span) {
		none(c)
		c.Tags, c.TagAllow = true, []string{"code", "json"}
	}, trace, "tag_index code=200")
	f(func(c *IndexConfig, _ *jaegermodel.Span) { none(c); c.ProcessTags, c.Logs = true, true }, trace, "tag_index pod=a", "tag_index event=retry")
	f(func(_ *IndexConfig, s *jaegermodel.Span) { s.Operation = strings.Repeat("x", 64<<10) }, trace)
}

// TestPlan: rows of a partition travel together, names once.
func TestPlan(t *testing.T) {
	cfg := DefaultConfig().Index
	cfg.BatchRows = 10
	var skipped atomic.Int64
	x, names := newIndexer(cfg, &skipped), newNameCache(time.Hour)
	spans := make([]*jaegermodel.Span, 100)
	for i := range spans {
		spans[i] = span()
		spans[i].SpanID, spans[i].TraceID = jaegermodel.SpanID(i), jaegermodel.TraceID{byte(i / 4)}
		spans[i].Tags = append(spans[i].Tags, jaegermodel.Int64Tag("n", int64(i)))
	}
	plan := func() (statements, rows [numStatements]int) {
		x.plan(spans, names, func(st *statement) {
			statements[st.into]++
			rows[st.into] += len(st.rows)
			if len(st.rows) > 10 || len(st.rows) != len(st.spans) {
				t.Errorf("a statement with %d rows of %d spans", len(st.rows), len(st.spans))
			}
			if st.name != "" {
				names.written(st.name)
			}
		})
		return statements, rows
	}
	statements, rows := plan()
	if want := [numStatements]int{100, 1, 1, 100, 100, 200, 700}; rows != want {
		t.Errorf("rows %v; want %v", rows, want)
	}
	if statements[intoTraces] != 25 || statements[intoOperationIndex] != 10 || statements[intoDurationIndex] != 20 || statements[intoTagIndex] != 100+6*10 {
		t.Errorf("statements %v", statements)
	}
	x.cfg.BatchPartitions = 10
	if statements, rows = plan(); rows != [numStatements]int{100, 0, 0, 100, 100, 200, 700} || statements[intoTraces] != 25 || statements[intoTagIndex] != 10+6*10 {
		t.Errorf("with shared statements %v of rows %v", statements, rows)
	}
	x.cfg.BatchPartitions = 1
	if statements, _ = plan(); statements[intoServices]+statements[intoOperations] != 0 {
		t.Error("names are written again")
	}
	names.now = func() time.Time { return time.Now().Add(31 * time.Minute) }
	if statements, _ = plan(); statements[intoServices] != 1 {
		t.Error("names are not written again after half their time")
	}
	for i := range maxNames + 10 {
		names.written(fmt.Sprint(i))
	}
	if len(names.until) > maxNames {
		t.Errorf("%d names are kept", len(names.until))
	}
}

func TestOnly(t *testing.T) {
	td := ptrace.NewTraces()
	for r := range 3 {
		ss := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty()
		for i := range 4 {
			ss.Spans().AppendEmpty().SetSpanID(pcommon.SpanID{7: byte(4*r + i)})
		}
	}
	got := only(td, map[int]struct{}{1: {}, 9: {}, 11: {}})
	var ids []byte
	for _, s := range jaegermodel.FromTraces(got) {
		ids = append(ids, byte(s.SpanID))
	}
	if !slices.Equal(ids, []byte{1, 9, 11}) || got.ResourceSpans().Len() != 2 || td.SpanCount() != 12 {
		t.Errorf("spans %v in %d resources; %d are left in the original", ids, got.ResourceSpans().Len(), td.SpanCount())
	}
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	c := &Config{}
	c.Schema.Keyspace, c.Schema.Datacenter = "a; DROP", "'"
	c.Query.Consistency = "MOST"
	err := c.Validate()
	for _, want := range []string{
		`schema::keyspace: "a; DROP" is not`, `schema::datacenter: "'"`, "schema::replication_factor", "schema::trace_ttl", "schema::compaction_window",
		"connection::servers", "connection::port", "connection::connections_per_host", "connection::timeout", "connection::reconnect_interval",
		"query::timeout", "query::max_attempts", `query::consistency: "MOST" is not one of`, "index::batch_rows", "index::batch_partitions", "max_in_flight",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

func TestSchema(t *testing.T) {
	c := DefaultConfig().Schema
	list := c.statements()
	if len(list) != 17 {
		t.Errorf("%d statements; want 17", len(list))
	}
	all := strings.Join(list, "\n")
	for _, want := range []string{
		"CREATE KEYSPACE IF NOT EXISTS jaeger_dc1 WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': '1'}",
		"default_time_to_live = 172800", "default_time_to_live = 0", "'compaction_window_size': '120'",
		"PRIMARY KEY ((service_name, operation_name, bucket), duration, start_time, trace_id)) WITH CLUSTERING ORDER BY (duration DESC, start_time DESC)",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the schema lacks %q:\n%s", want, all)
		}
	}
}

// TestNoCassandra: nothing waits for a node that is not there, and what was pushed
// goes back whole.
func TestNoCassandra(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Connection.Servers, cfg.Connection.Timeout = []string{"127.0.0.1:1"}, time.Second
	c := &client{cfg: cfg}
	var s stats
	w := newWriter(cfg, c, &s)
	for range 2 {
		if _, err := w.write(t.Context(), []*jaegermodel.Span{span()}); err == nil {
			t.Error("writing to nobody has no error")
		}
	}
	if s.returned.Load() != 2 || s.written.Load() != 0 {
		t.Errorf("returned %d, written %d; want 2 and 0", s.returned.Load(), s.written.Load())
	}
	c.close()
	r, err := NewReader(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Services(t.Context()); err == nil {
		t.Error("reading from nobody has no error")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
