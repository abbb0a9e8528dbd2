package quota

import (
	"strings"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	f := func(change func(*Config), want ...string) {
		t.Helper()
		cfg := DefaultConfig()
		change(&cfg)
		err := cfg.Validate()
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != strings.Join(want, "\n") {
			t.Errorf("got:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
		}
	}
	f(func(*Config) {})
	f(func(c *Config) { c.Source, c.OnError = "memcache", "open" },
		`source: "memcache" is none of local, redis`, `on_error: "open" is none of allow, deny, local`)
	f(func(c *Config) { c.Local.MaxSizeMiB, c.Local.SnapshotEvery, c.TopKeys = 0, time.Millisecond, -1 },
		"local.max_size_mib: 0 is not between 1 and 1048576", "local.snapshot_every: 1ms is less than 1s", "top_keys: -1 is not between 0 and 100")
	f(func(c *Config) { c.Redis.Mode, c.Redis.Addresses = "ring", nil },
		`redis.mode: "ring" is none of standalone, sentinel, cluster`, "redis.addresses: there are none")
	f(func(c *Config) { c.Redis.Addresses = []string{"a:1", "b"} }, `redis.addresses[1]: "b" is not host:port`)
	f(func(c *Config) { c.Redis.Mode = RedisSentinel }, "redis.master_name: it goes with mode: sentinel")
	f(func(c *Config) { c.Redis.MasterName = "m" }, "redis.master_name: it goes with mode: sentinel")
	f(func(c *Config) { c.Redis.Mode, c.Redis.DB = RedisCluster, 1 }, "redis.db: 1 is not a database of this mode")
	f(func(c *Config) { c.Redis.KeyPrefix = "a{b}" }, `redis.key_prefix: "a{b}" may have printable ASCII without spaces and braces`)
	f(func(c *Config) { c.Redis.KeyPrefix = "" }, "redis.key_prefix: is 0 bytes long, not between 1 and 64")
	f(func(c *Config) { c.Redis.Timeout, c.Redis.LeaseMaxAge, c.Redis.MaxPending = 0, time.Hour, 0 },
		"redis.timeout: 0s is less than 1ms", "redis.lease_max_age: 1h0m0s is not between 10ms and 1m", "redis.max_pending: 0 is less than 1")
	f(func(c *Config) { c.Redis.TLS.CertFile = "x" }, "redis.tls: cert_file and key_file go together")
}
