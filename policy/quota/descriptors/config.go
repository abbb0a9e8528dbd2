package descriptors

import (
	"errors"
	"fmt"
	"time"
)

// Config says where limits are read from.
type Config struct {
	// Paths are files in envoyproxy/ratelimit's YAML, and directories of them (*.yaml, *.yml). They are watched. builtin:none limits nothing.
	Paths []string `mapstructure:"paths"`
	// PollInterval is how often Paths are looked at for changes.
	PollInterval time.Duration `mapstructure:"poll_interval"`
	// MergeDomains lets several files add to the same domain, as MERGE_DOMAIN_CONFIG does there. Otherwise that is an error.
	MergeDomains bool `mapstructure:"merge_domains"`
}

// DefaultConfig returns the configuration that needs only Paths.
func DefaultConfig() Config { return Config{PollInterval: time.Second} }

// Validate returns every problem, each with its key.
func (c *Config) Validate() error {
	var errs []error
	for i, p := range c.Paths {
		if p == "" {
			errs = append(errs, fmt.Errorf("paths[%d]: is empty", i))
		}
	}
	if c.PollInterval <= 0 {
		errs = append(errs, fmt.Errorf("poll_interval: %s is not more than 0", c.PollInterval))
	}
	return errors.Join(errs...)
}
