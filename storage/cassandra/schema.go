package cassandra

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// column is the name and type of a column.
type column struct{ name, kind string }

// table is a table of Jaeger's schema v004.
type table struct {
	name    string
	columns []column
	key     string
	order   string // clustering order
	windows bool   // rows of one time are compacted together
	short   bool   // and that time is an hour
	edges   bool   // lives as long as edges
	forever bool   // has no time to live: Jaeger's own
}

const keyValues = "frozen<list<frozen<keyvalue>>>"

// types are in the order in which they need each other.
var types = []table{
	{name: "keyvalue", columns: []column{
		{"key", "text"}, {"value_type", "text"}, {"value_string", "text"}, {"value_bool", "boolean"},
		{"value_long", "bigint"}, {"value_double", "double"}, {"value_binary", "blob"},
	}},
	{name: "log", columns: []column{{"ts", "bigint"}, {"fields", keyValues}}},
	{name: "span_ref", columns: []column{{"ref_type", "text"}, {"trace_id", "blob"}, {"span_id", "bigint"}}},
	{name: "process", columns: []column{{"service_name", "text"}, {"tags", keyValues}}},
	{name: "dependency", columns: []column{{"parent", "text"}, {"child", "text"}, {"call_count", "bigint"}, {"source", "text"}}},
}

// tables are all that a Jaeger 2 looks for, those that it alone uses included.
var tables = []table{
	{name: "traces", key: "trace_id, span_id, span_hash", windows: true, columns: []column{
		{"trace_id", "blob"}, {"span_id", "bigint"}, {"span_hash", "bigint"}, {"parent_id", "bigint"}, {"operation_name", "text"},
		{"flags", "int"}, {"start_time", "bigint"}, {"duration", "bigint"}, {"tags", "list<frozen<keyvalue>>"},
		{"logs", "list<frozen<log>>"}, {"refs", "list<frozen<span_ref>>"}, {"process", "frozen<process>"},
	}},
	{name: "service_names", key: "service_name", columns: []column{{"service_name", "text"}}},
	{name: "operation_names_v2", key: "(service_name), span_kind, operation_name", columns: []column{
		{"service_name", "text"}, {"span_kind", "text"}, {"operation_name", "text"},
	}},
	{name: "service_operation_index", key: "(service_name, operation_name), start_time", order: "start_time DESC", windows: true, short: true, columns: []column{
		{"service_name", "text"}, {"operation_name", "text"}, {"start_time", "bigint"}, {"trace_id", "blob"},
	}},
	{name: "service_name_index", key: "(service_name, bucket), start_time", order: "start_time DESC", windows: true, short: true, columns: []column{
		{"service_name", "text"}, {"bucket", "int"}, {"start_time", "bigint"}, {"trace_id", "blob"},
	}},
	{name: "duration_index", key: "(service_name, operation_name, bucket), duration, start_time, trace_id", order: "duration DESC, start_time DESC", windows: true, short: true, columns: []column{
		{"service_name", "text"}, {"operation_name", "text"}, {"bucket", "timestamp"}, {"duration", "bigint"}, {"start_time", "bigint"}, {"trace_id", "blob"},
	}},
	{name: "tag_index", key: "(service_name, tag_key, tag_value), start_time, trace_id, span_id", order: "start_time DESC", windows: true, short: true, columns: []column{
		{"service_name", "text"}, {"tag_key", "text"}, {"tag_value", "text"}, {"start_time", "bigint"}, {"trace_id", "blob"}, {"span_id", "bigint"},
	}},
	{name: "dependencies_v2", key: "ts_bucket, ts", order: "ts DESC", edges: true, columns: []column{
		{"ts_bucket", "timestamp"}, {"ts", "timestamp"}, {"dependencies", "list<frozen<dependency>>"},
	}},
	{name: "operation_throughput", key: "bucket, ts", order: "ts DESC", forever: true, columns: []column{
		{"bucket", "int"}, {"ts", "timeuuid"}, {"throughput", "text"},
	}},
	{name: "sampling_probabilities", key: "bucket, ts", order: "ts DESC", forever: true, columns: []column{
		{"bucket", "int"}, {"ts", "timeuuid"}, {"hostname", "text"}, {"probabilities", "text"},
	}},
	{name: "leases", key: "name", forever: true, columns: []column{{"name", "text"}, {"owner", "text"}}},
}

// statements create what is missing.
func (c *SchemaConfig) statements() []string {
	where := "'replication_factor'"
	if c.Datacenter != "" {
		where = "'" + c.Datacenter + "'"
	}
	list := []string{fmt.Sprintf("CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': 'NetworkTopologyStrategy', %s: '%d'}", c.Keyspace, where, c.ReplicationFactor)}
	for _, t := range types {
		list = append(list, fmt.Sprintf("CREATE TYPE IF NOT EXISTS %s.%s (%s)", c.Keyspace, t.name, columnList(t.columns)))
	}
	for _, t := range tables {
		list = append(list, c.createTable(&t))
	}
	return list
}

func columnList(columns []column) string {
	var parts []string
	for _, c := range columns {
		parts = append(parts, c.name+" "+c.kind)
	}
	return strings.Join(parts, ", ")
}

func (c *SchemaConfig) createTable(t *table) string {
	var with []string
	if t.order != "" {
		with = append(with, "CLUSTERING ORDER BY ("+t.order+")")
	}
	switch {
	case t.forever:
	case t.edges:
		with = append(with, compactBySize, fmt.Sprintf("default_time_to_live = %d", seconds(c.DependenciesTTL)))
	default:
		size := int(c.CompactionWindow / time.Minute)
		if t.short {
			size = 60
		}
		compaction := compactBySize
		if t.windows {
			compaction = fmt.Sprintf("compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'MINUTES', 'compaction_window_size': '%d'}", size)
		}
		with = append(with, compaction, fmt.Sprintf("default_time_to_live = %d", seconds(c.TraceTTL)),
			"speculative_retry = 'NONE'", "gc_grace_seconds = 10800")
	}
	s := fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.%s (%s, PRIMARY KEY (%s))", c.Keyspace, t.name, columnList(t.columns), t.key)
	if len(with) > 0 {
		s += " WITH " + strings.Join(with, " AND ")
	}
	return s
}

const compactBySize = "compaction = {'class': 'SizeTieredCompactionStrategy', 'min_threshold': '4', 'max_threshold': '32'}"

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// create creates what is missing, statement by statement: each waits until the
// nodes agree.
func (c *SchemaConfig) create(ctx context.Context, session *gocql.Session) error {
	for _, stmt := range c.statements() {
		if err := session.Query(stmt).ExecContext(ctx); err != nil {
			return fmt.Errorf("creating the schema: %.60s…: %w", stmt, err)
		}
	}
	return session.AwaitSchemaAgreement(ctx)
}

// verify compares the columns of the tables that are written with what is there.
func (c *SchemaConfig) verify(ctx context.Context, session *gocql.Session) error {
	have := map[string]map[string]string{}
	it := session.Query("SELECT table_name, column_name, type FROM system_schema.columns WHERE keyspace_name = ?", strings.ToLower(c.Keyspace)).IterContext(ctx)
	var name, col, kind string
	for it.Scan(&name, &col, &kind) {
		if have[name] == nil {
			have[name] = map[string]string{}
		}
		have[name][col] = kind
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	if len(have) == 0 {
		return fmt.Errorf("keyspace %s has no tables; set schema::create, or run Jaeger's create.sh", c.Keyspace)
	}
	var errs []error
	for _, t := range tables {
		if t.forever {
			continue
		}
		if have[t.name] == nil {
			errs = append(errs, fmt.Errorf("keyspace %s has no table %s (it has %s): it is not Jaeger's schema v004", c.Keyspace, t.name, strings.Join(slices.Sorted(maps.Keys(have)), ", ")))
			continue
		}
		for _, want := range t.columns {
			got, ok := have[t.name][want.name]
			if plain(got) != plain(want.kind) {
				errs = append(errs, fmt.Errorf("table %s.%s: column %s has type %q, present %v; want %s", c.Keyspace, t.name, want.name, got, ok, want.kind))
			}
		}
	}
	return errors.Join(errs...)
}

// plain is a type without what Cassandra may write otherwise.
func plain(kind string) string {
	return strings.NewReplacer(" ", "", "frozen<", "<").Replace(kind)
}
