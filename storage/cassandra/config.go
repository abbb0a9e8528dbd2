package cassandra

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/config/configtls"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
)

// Config is the section of an exporter of type cassandra. Its keys are those of
// Jaeger's Cassandra storage where that has the same.
type Config struct {
	Schema     SchemaConfig     `mapstructure:"schema"`
	Connection ConnectionConfig `mapstructure:"connection"`
	Query      QueryConfig      `mapstructure:"query"`
	Index      IndexConfig      `mapstructure:"index"`
	// Dependencies are the edges between services, learned from the spans that pass by.
	Dependencies DependenciesConfig `mapstructure:"dependencies"`
	// MaxInFlight is the most statements that wait for Cassandra at once.
	MaxInFlight int `mapstructure:"max_in_flight"`
	// QueueConfig holds spans while Cassandra is slow or away.
	QueueConfig configoptional.Optional[exporterhelper.QueueBatchConfig] `mapstructure:"sending_queue"`
	// BackOffConfig repeats what failed for a passing reason.
	BackOffConfig configretry.BackOffConfig `mapstructure:"retry_on_failure"`
}

// SchemaConfig is the schema section.
type SchemaConfig struct {
	// Keyspace holds the tables.
	Keyspace string `mapstructure:"keyspace"`
	// Create creates what is missing of keyspace, types and tables. Without it they are only looked at.
	Create bool `mapstructure:"create"`
	// Datacenter replicates to this one; empty replicates to every one.
	Datacenter string `mapstructure:"datacenter"`
	// ReplicationFactor is the number of copies of a created keyspace.
	ReplicationFactor int `mapstructure:"replication_factor"`
	// TraceTTL is how long spans live in created tables.
	TraceTTL time.Duration `mapstructure:"trace_ttl"`
	// DependenciesTTL is how long edges live in created tables; 0 is for ever.
	DependenciesTTL time.Duration `mapstructure:"dependencies_ttl"`
	// CompactionWindow groups spans into files by time.
	CompactionWindow time.Duration `mapstructure:"compaction_window"`
}

// ConnectionConfig is the connection section.
type ConnectionConfig struct {
	// Servers are nodes, as host or host:port; the others are found through them.
	Servers []string `mapstructure:"servers"`
	// Port of servers that name none.
	Port int `mapstructure:"port"`
	// LocalDC prefers the nodes of this datacenter.
	LocalDC string `mapstructure:"local_dc"`
	// DisableAutoDiscovery uses only the servers that are named.
	DisableAutoDiscovery bool `mapstructure:"disable_auto_discovery"`
	// ConnectionsPerHost is the number of connections to each node.
	ConnectionsPerHost int `mapstructure:"connections_per_host"`
	// Timeout is the longest time to connect to a node.
	Timeout time.Duration `mapstructure:"timeout"`
	// ReconnectInterval is how often nodes that are down are tried.
	ReconnectInterval time.Duration `mapstructure:"reconnect_interval"`
	// TLS encrypts the connections. Absent means plain text.
	TLS configoptional.Optional[configtls.ClientConfig] `mapstructure:"tls"`
	// Auth is who connects.
	Auth AuthConfig `mapstructure:"auth"`
}

// AuthConfig is the connection.auth section.
type AuthConfig struct {
	Basic BasicAuthConfig `mapstructure:"basic"`
}

// BasicAuthConfig is a name and a password; none without a name.
type BasicAuthConfig struct {
	Username string              `mapstructure:"username"`
	Password configopaque.String `mapstructure:"password"`
}

// QueryConfig is the query section.
type QueryConfig struct {
	// Timeout is the longest time that a statement may take.
	Timeout time.Duration `mapstructure:"timeout"`
	// Consistency is how many copies must answer: ANY, ONE, LOCAL_ONE, QUORUM, LOCAL_QUORUM, ….
	Consistency string `mapstructure:"consistency"`
	// MaxAttempts is how often a statement is tried before its spans go back to the queue.
	MaxAttempts int `mapstructure:"max_attempts"`
}

// IndexConfig says what can be searched for. What is not indexed is not found by
// Jaeger either.
type IndexConfig struct {
	// Services indexes spans by service.
	Services bool `mapstructure:"services"`
	// Operations indexes spans by service and operation.
	Operations bool `mapstructure:"operations"`
	// Durations indexes spans by duration.
	Durations bool `mapstructure:"durations"`
	// Tags indexes spans by their own tags.
	Tags bool `mapstructure:"tags"`
	// ProcessTags indexes spans by the tags of their process.
	ProcessTags bool `mapstructure:"process_tags"`
	// Logs indexes spans by the fields of their events.
	Logs bool `mapstructure:"logs"`
	// TagAllow are the only keys that are indexed; empty is all.
	TagAllow []string `mapstructure:"tag_allow"`
	// TagDeny are keys that are not indexed.
	TagDeny []string `mapstructure:"tag_deny"`
	// BatchRows is the most rows of one partition, of an index or of one trace, that travel in one statement; 1 sends each alone.
	BatchRows int `mapstructure:"batch_rows"`
	// BatchPartitions is the most index partitions, of one table, that share a statement: 1 in a cluster, where it then goes to a node that has the rows; up to 10, beyond which Cassandra warns, if there is one node.
	BatchPartitions int `mapstructure:"batch_partitions"`
}

// DependenciesConfig is the dependencies section.
type DependenciesConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// Interval is how often edges are written.
	Interval time.Duration `mapstructure:"interval"`
}

// DefaultConfig returns Jaeger's defaults where it has them.
func DefaultConfig() *Config {
	return &Config{
		Schema: SchemaConfig{
			Keyspace: "jaeger_dc1", Create: true, ReplicationFactor: 1,
			TraceTTL: 48 * time.Hour, DependenciesTTL: 0, CompactionWindow: 2 * time.Hour,
		},
		Connection: ConnectionConfig{
			Servers: []string{"127.0.0.1"}, Port: 9042, ConnectionsPerHost: 2,
			Timeout: 5 * time.Second, ReconnectInterval: 5 * time.Second,
		},
		Query: QueryConfig{Timeout: 5 * time.Second, Consistency: "LOCAL_ONE", MaxAttempts: 3},
		Index: IndexConfig{
			Services: true, Operations: true, Durations: true, Tags: true, ProcessTags: true, Logs: true, BatchRows: 24, BatchPartitions: 1,
		},
		Dependencies:  DependenciesConfig{Enabled: true, Interval: time.Minute},
		MaxInFlight:   128,
		QueueConfig:   configoptional.Some(exporterhelper.NewDefaultQueueConfig()),
		BackOffConfig: configretry.NewDefaultBackOffConfig(),
	}
}

var keyspaceName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,47}$`)

// Validate returns every problem with its key.
func (c *Config) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(!keyspaceName.MatchString(c.Schema.Keyspace), "schema::keyspace: %q is not a letter and up to 47 letters, digits and _", c.Schema.Keyspace)
	bad(c.Schema.Datacenter != "" && !datacenterName.MatchString(c.Schema.Datacenter), "schema::datacenter: %q holds more than letters, digits, ., - and _", c.Schema.Datacenter)
	bad(c.Schema.ReplicationFactor < 1, "schema::replication_factor: %d is less than 1", c.Schema.ReplicationFactor)
	bad(c.Schema.TraceTTL < time.Second, "schema::trace_ttl: %s is less than 1s", c.Schema.TraceTTL)
	bad(c.Schema.DependenciesTTL < 0, "schema::dependencies_ttl: %s is negative", c.Schema.DependenciesTTL)
	bad(c.Schema.CompactionWindow < time.Minute, "schema::compaction_window: %s is less than 1m", c.Schema.CompactionWindow)
	bad(len(c.Connection.Servers) == 0, "connection::servers: name one at least")
	bad(c.Connection.Port < 1 || c.Connection.Port > 65535, "connection::port: %d is no port", c.Connection.Port)
	bad(c.Connection.ConnectionsPerHost < 1, "connection::connections_per_host: %d is less than 1", c.Connection.ConnectionsPerHost)
	bad(c.Connection.Timeout <= 0, "connection::timeout: %s is not more than 0", c.Connection.Timeout)
	bad(c.Connection.ReconnectInterval <= 0, "connection::reconnect_interval: %s is not more than 0", c.Connection.ReconnectInterval)
	bad(c.Query.Timeout <= 0, "query::timeout: %s is not more than 0", c.Query.Timeout)
	bad(c.Query.MaxAttempts < 1, "query::max_attempts: %d is less than 1", c.Query.MaxAttempts)
	_, err := gocql.ParseConsistencyWrapper(c.Query.Consistency)
	bad(err != nil, "query::consistency: %q is not one of ANY, ONE, TWO, THREE, QUORUM, ALL, LOCAL_QUORUM, EACH_QUORUM, LOCAL_ONE", c.Query.Consistency)
	bad(c.Index.BatchRows < 1 || c.Index.BatchRows > 100, "index::batch_rows: %d is not from 1 to 100", c.Index.BatchRows)
	bad(c.Index.BatchPartitions < 1 || c.Index.BatchPartitions > 10, "index::batch_partitions: %d is not from 1 to 10", c.Index.BatchPartitions)
	bad(c.Dependencies.Enabled && c.Dependencies.Interval < time.Second, "dependencies::interval: %s is less than 1s", c.Dependencies.Interval)
	bad(c.MaxInFlight < 1, "max_in_flight: %d is less than 1", c.MaxInFlight)
	return errors.Join(errs...)
}

var datacenterName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
