package prometheus

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Config is the section prometheus of the configuration, without the keys of
// its listener.
type Config struct {
	// Exemplars writes exemplars where the format has them.
	Exemplars bool `mapstructure:"exemplars"`
	// CreatedSeries writes _created lines in OpenMetrics: one more series per
	// label set and family, in a Prometheus that does not use them. Protobuf
	// has created timestamps in any case, at no cost.
	CreatedSeries bool `mapstructure:"created_series"`
	// MaxConcurrentScrapes bounds the scrapes at a time; each has a copy of all
	// values in memory.
	MaxConcurrentScrapes int `mapstructure:"max_concurrent_scrapes"`
	// ScrapeTimeout ends a scrape whose client reads too slowly.
	ScrapeTimeout time.Duration `mapstructure:"scrape_timeout"`

	// Component and Tag are the labels of istio_build.
	Component string `mapstructure:"-"`
	Tag       string `mapstructure:"-"`
}

// DefaultConfig returns the configuration of a Handler that nobody configured.
func DefaultConfig() Config {
	c := Config{
		Exemplars:            true,
		MaxConcurrentScrapes: 4,
		ScrapeTimeout:        time.Minute,
		Component:            "tallygate",
		Tag:                  "unknown",
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		c.Tag = info.Main.Version
	}
	return c
}

// Validate returns every problem of c, with the key it is under.
func (c *Config) Validate() error {
	var errs []error
	if c.MaxConcurrentScrapes < 1 {
		errs = append(errs, fmt.Errorf("max_concurrent_scrapes: must be at least 1, is %d", c.MaxConcurrentScrapes))
	}
	if c.ScrapeTimeout <= 0 {
		errs = append(errs, fmt.Errorf("scrape_timeout: must be positive, is %s", c.ScrapeTimeout))
	}
	return errors.Join(errs...)
}
