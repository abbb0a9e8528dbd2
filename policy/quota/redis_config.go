package quota

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"
)

// Modes of Redis.
const (
	RedisStandalone = "standalone"
	RedisSentinel   = "sentinel"
	RedisCluster    = "cluster"
)

// RedisConfig is the redis section.
type RedisConfig struct {
	// Mode is standalone, sentinel or cluster.
	Mode string `mapstructure:"mode"`
	// Addresses are host:port of the server, of the Sentinels, or of some nodes of the Cluster.
	Addresses []string `mapstructure:"addresses"`
	// MasterName is the name that Sentinels have for the master.
	MasterName string `mapstructure:"master_name"`
	// Username is an ACL user that may run GET, SET, DEL, TIME and EVALSHA on the keys of key_prefix. Empty is the default user.
	Username string `mapstructure:"username"`
	// Password of that user.
	Password configopaque.String `mapstructure:"password"`
	// SentinelUsername is the user at the Sentinels.
	SentinelUsername string `mapstructure:"sentinel_username"`
	// SentinelPassword of that user.
	SentinelPassword configopaque.String `mapstructure:"sentinel_password"`
	// DB is the number of the database; a Cluster has only 0.
	DB int `mapstructure:"db"`
	// TLS is how connections are encrypted.
	TLS RedisTLS `mapstructure:"tls"`
	// KeyPrefix begins every key, so that several installations can share a Redis.
	KeyPrefix string `mapstructure:"key_prefix"`
	// Timeout is how long Redis may take to answer; a check that waits for it never waits longer than its own deadline.
	Timeout time.Duration `mapstructure:"timeout"`
	// LeaseMaxAge is how old tokens may grow that were taken ahead: the L of the promise, admitted ≤ burst + rate × (T + L).
	LeaseMaxAge time.Duration `mapstructure:"lease_max_age"`
	// MaxPending is how many charges may wait for Redis; more are answered as on_error says.
	MaxPending int `mapstructure:"max_pending"`
}

// RedisTLS is the tls section of redis.
type RedisTLS struct {
	// Enabled encrypts.
	Enabled bool `mapstructure:"enabled"`
	// CAFile has the authorities that verify Redis; empty are the system's.
	CAFile string `mapstructure:"ca_file"`
	// CertFile has our certificate.
	CertFile string `mapstructure:"cert_file"`
	// KeyFile has its key.
	KeyFile string `mapstructure:"key_file"`
	// ServerName is the name in Redis' certificate, if it is not that of the address.
	ServerName string `mapstructure:"server_name"`
}

func defaultRedisConfig() RedisConfig {
	return RedisConfig{
		Mode: RedisStandalone, Addresses: []string{"127.0.0.1:6379"}, KeyPrefix: "tallygate",
		Timeout: 30 * time.Millisecond, LeaseMaxAge: 100 * time.Millisecond, MaxPending: 10_000,
	}
}

func (c *RedisConfig) validate(add func(format string, args ...any)) {
	if !slices.Contains([]string{RedisStandalone, RedisSentinel, RedisCluster}, c.Mode) {
		add("redis.mode: %q is none of %s, %s, %s", c.Mode, RedisStandalone, RedisSentinel, RedisCluster)
	}
	if len(c.Addresses) == 0 {
		add("redis.addresses: there are none")
	}
	for i, a := range c.Addresses {
		if _, _, err := net.SplitHostPort(a); err != nil {
			add("redis.addresses[%d]: %q is not host:port", i, a)
		}
	}
	if (c.Mode == RedisSentinel) != (c.MasterName != "") {
		add("redis.master_name: it goes with mode: %s", RedisSentinel)
	}
	if c.DB < 0 || c.DB > 0 && c.Mode == RedisCluster {
		add("redis.db: %d is not a database of this mode", c.DB)
	}
	for _, r := range c.KeyPrefix {
		if r <= ' ' || r >= 0x7f || r == '{' || r == '}' {
			add("redis.key_prefix: %q may have printable ASCII without spaces and braces", c.KeyPrefix)
			break
		}
	}
	if c.KeyPrefix == "" || len(c.KeyPrefix) > 64 {
		add("redis.key_prefix: is %d bytes long, not between 1 and 64", len(c.KeyPrefix))
	}
	if c.Timeout < time.Millisecond {
		add("redis.timeout: %s is less than 1ms", c.Timeout)
	}
	if c.LeaseMaxAge < 10*time.Millisecond || c.LeaseMaxAge > time.Minute {
		add("redis.lease_max_age: %s is not between 10ms and 1m", c.LeaseMaxAge)
	}
	if c.MaxPending < 1 {
		add("redis.max_pending: %d is less than 1", c.MaxPending)
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		add("redis.tls: cert_file and key_file go together")
	}
}

// config returns nil if TLS is off.
func (c *RedisTLS) config() (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		b, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(b) {
			return nil, errors.New("ca_file: there is no certificate in it")
		}
	}
	if c.CertFile != "" {
		// Read again for every connection: certificates are renewed in place.
		load := func() (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
			return &cert, err
		}
		if _, err := load(); err != nil {
			return nil, fmt.Errorf("cert_file, key_file: %w", err)
		}
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return t, nil
}
