package cassandra

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// client connects when it is first asked, and again a second after it failed: a
// Cassandra that is not there yet keeps nobody from starting.
type client struct {
	cfg *Config

	mu      sync.Mutex
	session *gocql.Session
	failed  error
	retryAt time.Time
	closed  bool
}

// get returns the session, connecting if there is none.
func (c *client) get(ctx context.Context) (*gocql.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, errors.New("cassandra: closed")
	case c.session != nil:
		return c.session, nil
	case time.Now().Before(c.retryAt):
		return nil, c.failed
	}
	session, err := c.connect(ctx)
	if err != nil {
		c.failed, c.retryAt = fmt.Errorf("cassandra: %w", err), time.Now().Add(time.Second)
		return nil, c.failed
	}
	c.session = session
	return session, nil
}

// connect creates or verifies the schema first, without the keyspace, which may
// not be there.
func (c *client) connect(ctx context.Context) (*gocql.Session, error) {
	cluster, err := c.cluster(ctx)
	if err != nil {
		return nil, err
	}
	keyspace := cluster.Keyspace
	cluster.Keyspace = ""
	first, err := cluster.CreateSession()
	if err != nil {
		return nil, err
	}
	if c.cfg.Schema.Create {
		err = c.cfg.Schema.create(ctx, first)
	}
	if err == nil {
		err = c.cfg.Schema.verify(ctx, first)
	}
	first.Close()
	if err != nil {
		return nil, err
	}
	if cluster, err = c.cluster(ctx); err != nil { // a policy is for one session only
		return nil, err
	}
	cluster.Keyspace = keyspace
	return cluster.CreateSession()
}

func (c *client) cluster(ctx context.Context) (*gocql.ClusterConfig, error) {
	conn, q := &c.cfg.Connection, &c.cfg.Query
	cluster := gocql.NewCluster(conn.Servers...)
	cluster.Port = conn.Port
	if len(conn.Servers) > 0 { // found nodes have the port of the first
		if _, port, err := net.SplitHostPort(conn.Servers[0]); err == nil {
			if _, err := fmt.Sscanf(port, "%d", &cluster.Port); err != nil {
				return nil, fmt.Errorf("connection::servers: %q has no port", conn.Servers[0])
			}
		}
	}
	cluster.Keyspace = strings.ToLower(c.cfg.Schema.Keyspace)
	cluster.NumConns = conn.ConnectionsPerHost
	cluster.ConnectTimeout, cluster.Timeout, cluster.WriteTimeout = conn.Timeout, q.Timeout, q.Timeout
	cluster.ReconnectInterval = conn.ReconnectInterval
	cluster.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: conn.ReconnectInterval}
	cluster.MaxWaitSchemaAgreement = time.Minute
	cluster.DisableInitialHostLookup = conn.DisableAutoDiscovery
	cluster.DefaultIdempotence = true
	cluster.RetryPolicy = nil // statement.go retries, and counts
	cluster.Logger = quiet{}
	consistency, err := gocql.ParseConsistencyWrapper(q.Consistency)
	if err != nil {
		return nil, fmt.Errorf("query::consistency: %w", err)
	}
	cluster.Consistency = consistency
	policy := gocql.RoundRobinHostPolicy()
	if conn.LocalDC != "" {
		policy = gocql.DCAwareRoundRobinPolicy(conn.LocalDC)
	}
	cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(policy)
	if conn.Auth.Basic.Username != "" {
		cluster.Authenticator = gocql.PasswordAuthenticator{Username: conn.Auth.Basic.Username, Password: string(conn.Auth.Basic.Password)}
	}
	if conn.TLS.HasValue() {
		t, err := conn.TLS.Get().LoadTLSConfig(ctx)
		if err != nil {
			return nil, fmt.Errorf("connection::tls: %w", err)
		}
		if t != nil {
			cluster.SslOpts = &gocql.SslOptions{Config: t, EnableHostVerification: !t.InsecureSkipVerify}
		}
	}
	return cluster, nil
}

func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.session != nil {
		c.session.Close()
		c.session = nil
	}
}

// quiet drops the driver's log: every failure comes back as an error.
type quiet struct{}

func (quiet) Error(string, ...gocql.LogField)   {}
func (quiet) Warning(string, ...gocql.LogField) {}
func (quiet) Info(string, ...gocql.LogField)    {}
func (quiet) Debug(string, ...gocql.LogField)   {}
