package push

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Config is the push section of the configuration.
type Config struct {
	// Interval is the time from one push to the next.
	Interval time.Duration `mapstructure:"interval"`
	// Timeout bounds one push, and the last one after the context ended.
	Timeout time.Duration `mapstructure:"timeout"`
	// Exporters are the ids, below exporters, of those that are pushed to.
	Exporters []string `mapstructure:"exporters"`
	// MaxPoints bounds the points of one request. A point with all labels is
	// about 1.5 KB in OTLP, whose receivers take 4 MiB by default.
	MaxPoints int `mapstructure:"max_points"`
	// Histograms is explicit or exponential. Families without native buckets
	// (red.native_histograms) are explicit in any case.
	Histograms string `mapstructure:"histograms"`
	// Resource has attributes of the resource, beside service.name and
	// service.instance.id: Prometheus makes job and instance of those two.
	Resource map[string]string `mapstructure:"resource"`
}

// Kinds of histograms.
const (
	Explicit    = "explicit"
	Exponential = "exponential"
)

// DefaultConfig returns the configuration that pushes to nobody.
func DefaultConfig() Config {
	return Config{
		Interval:   15 * time.Second,
		Timeout:    10 * time.Second,
		Exporters:  []string{},
		MaxPoints:  1000,
		Histograms: Explicit,
		Resource:   map[string]string{},
	}
}

// Validate returns every problem of c, each with its key.
func (c *Config) Validate() error {
	var errs []error
	if c.Interval <= 0 {
		errs = append(errs, fmt.Errorf("interval: must be positive, is %s", c.Interval))
	}
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout: must be positive, is %s", c.Timeout))
	}
	if c.MaxPoints <= 0 {
		errs = append(errs, fmt.Errorf("max_points: must be positive, is %d", c.MaxPoints))
	}
	if c.Histograms != Explicit && c.Histograms != Exponential {
		errs = append(errs, fmt.Errorf("histograms: %q is not one of explicit, exponential", c.Histograms))
	}
	for i, id := range c.Exporters {
		if slices.Contains(c.Exporters[:i], id) {
			errs = append(errs, fmt.Errorf("exporters[%d]: %q is there twice", i, id))
		}
	}
	return errors.Join(errs...)
}
