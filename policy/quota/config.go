package quota

import (
	"errors"
	"fmt"
)

// Config says how quotas are charged.
type Config struct {
	// Local is the table of this process.
	Local LocalConfig `mapstructure:"local"`
}

// LocalConfig is the local section.
type LocalConfig struct {
	// MaxSizeMiB bounds the memory of the table, in MiB. Once it is full, new keys of a quota share one limit.
	MaxSizeMiB int `mapstructure:"max_size_mib"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Local: LocalConfig{MaxSizeMiB: 128}}
}

// Validate returns every problem, each with its key path relative to the
// section.
func (c *Config) Validate() error {
	var errs []error
	if n := c.Local.MaxSizeMiB; n < 1 || n > 1<<20 {
		errs = append(errs, fmt.Errorf("local.max_size_mib: %d is not between 1 and %d", n, 1<<20))
	}
	return errors.Join(errs...)
}
