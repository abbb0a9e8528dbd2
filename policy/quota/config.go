package quota

import (
	"errors"
	"fmt"
	"time"

	"github.com/tallygate/tallygate/mesh"
)

// Sources.
const (
	SourceLocal = "local"
	SourceRedis = "redis"
)

func onError(s string) (mesh.QuotaOnError, error) {
	for _, o := range []mesh.QuotaOnError{mesh.QuotaErrorAllow, mesh.QuotaErrorDeny, mesh.QuotaErrorLocal} {
		if s == o.String() {
			return o, nil
		}
	}
	return mesh.QuotaErrorDefault, fmt.Errorf("on_error: %q is none of allow, deny, local", s)
}

// Config says how quotas are charged.
type Config struct {
	// Source is where is counted: local, each replica for itself, or redis, all of them together.
	Source string `mapstructure:"source"`
	// OnError says what a quota is worth while Redis cannot be asked, unless its policy says so: allow, deny or local.
	OnError string `mapstructure:"on_error"`
	// Redis is the server of source redis.
	Redis RedisConfig `mapstructure:"redis"`
	// Local is the table of this process.
	Local LocalConfig `mapstructure:"local"`
	// TopKeys is how many keys of each quota, those with the most charges, have series of their own in our metrics; all others are one. 0 shows no keys.
	TopKeys int `mapstructure:"top_keys"`
}

// LocalConfig is the local section.
type LocalConfig struct {
	// MaxSizeMiB bounds the memory of the table, in MiB. Once it is full, new keys of a quota share one limit. A table that is larger already keeps its size until a restart.
	MaxSizeMiB int `mapstructure:"max_size_mib"`
	// SnapshotFile keeps the table over a restart, so that it is no amnesty. Empty keeps nothing.
	SnapshotFile string `mapstructure:"snapshot_file"`
	// SnapshotEvery is how often the file is written, beside in the end: what a crash loses.
	SnapshotEvery time.Duration `mapstructure:"snapshot_every"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Source: SourceLocal, OnError: mesh.QuotaErrorLocal.String(), Redis: defaultRedisConfig(), Local: LocalConfig{MaxSizeMiB: 128, SnapshotEvery: 30 * time.Second}, TopKeys: 5}
}

// Validate returns every problem, each with its key path relative to the
// section.
func (c *Config) Validate() error {
	var errs []error
	if c.Source != SourceLocal && c.Source != SourceRedis {
		errs = append(errs, fmt.Errorf("source: %q is none of %s, %s", c.Source, SourceLocal, SourceRedis))
	}
	if _, err := onError(c.OnError); err != nil {
		errs = append(errs, err)
	}
	c.Redis.validate(func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) })
	if n := c.Local.MaxSizeMiB; n < 1 || n > 1<<20 {
		errs = append(errs, fmt.Errorf("local.max_size_mib: %d is not between 1 and %d", n, 1<<20))
	}
	if c.Local.SnapshotEvery < time.Second {
		errs = append(errs, fmt.Errorf("local.snapshot_every: %s is less than 1s", c.Local.SnapshotEvery))
	}
	if c.TopKeys < 0 || c.TopKeys > 100 {
		errs = append(errs, fmt.Errorf("top_keys: %d is not between 0 and 100", c.TopKeys))
	}
	return errors.Join(errs...)
}
