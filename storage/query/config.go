package query

import (
	"errors"
	"fmt"
	"time"
)

// Config is what the API does; the listener is the wiring's.
type Config struct {
	// Store is the id of the exporter whose store is read: one of type local or cassandra.
	Store string `mapstructure:"store"`
	// MaxTraces is the most traces of one answer, whatever limit it is asked for.
	MaxTraces int `mapstructure:"max_traces"`
	// MaxConcurrent is how many requests read the store at once; others wait.
	MaxConcurrent int `mapstructure:"max_concurrent"`
	// Timeout is the longest that a request may take.
	Timeout time.Duration `mapstructure:"timeout"`
	// MaxClockSkewAdjust is the most by which a span is moved to fit into its parent. 0 only notes the skew as a warning.
	MaxClockSkewAdjust time.Duration `mapstructure:"max_clock_skew_adjust"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Store: "local", MaxTraces: 1500, MaxConcurrent: 8, Timeout: 30 * time.Second}
}

// Validate returns every problem with its key.
func (c *Config) Validate() error {
	var errs []error
	if c.Store == "" {
		errs = append(errs, errors.New("store: name an exporter of type local or cassandra"))
	}
	for _, n := range []struct {
		key string
		n   int
	}{{"max_traces", c.MaxTraces}, {"max_concurrent", c.MaxConcurrent}} {
		if n.n <= 0 {
			errs = append(errs, fmt.Errorf("%s: %d is not more than 0", n.key, n.n))
		}
	}
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout: %s is not more than 0", c.Timeout))
	}
	if c.MaxClockSkewAdjust < 0 {
		errs = append(errs, fmt.Errorf("max_clock_skew_adjust: %s is negative", c.MaxClockSkewAdjust))
	}
	return errors.Join(errs...)
}
