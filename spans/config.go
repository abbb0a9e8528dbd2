package spans

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Config is the spans section of the configuration.
type Config struct {
	// Mode is auto, always or off. auto makes no span where the proxy exported its own.
	Mode string `mapstructure:"mode"`
	// Exporters are the ids, below exporters, of those that spans are sent to. Without any no span is made.
	Exporters []string `mapstructure:"exporters"`
	// Sampling says which requests become spans. A request needs one reason.
	Sampling Sampling `mapstructure:"sampling"`
	// Query keeps the query of URLs. It may hold secrets.
	Query bool `mapstructure:"query"`
	// BatchSize is how many spans go in one request to the exporters.
	BatchSize int `mapstructure:"batch_size"`
	// FlushInterval is the longest that a span waits for its batch to fill.
	FlushInterval time.Duration `mapstructure:"flush_interval"`
	// Buffer is how many spans may wait for exporters that take their time; more are dropped and counted.
	Buffer int `mapstructure:"buffer"`
	// Queue is the queue of each exporter whose own section has no sending_queue.
	Queue Queue `mapstructure:"queue"`
}

// Sampling is the spans.sampling section.
type Sampling struct {
	// Proxy takes what the proxies sampled.
	Proxy Reason `mapstructure:"proxy"`
	// Head takes a ratio of all traces, the same ones on every replica.
	Head Head `mapstructure:"head"`
	// Error takes requests that failed: HTTP 5xx, no response, gRPC statuses that blame the server.
	Error Reason `mapstructure:"error"`
	// Denied takes requests that were denied or rate limited.
	Denied Reason `mapstructure:"denied"`
	// Slow takes requests that took longer than a limit.
	Slow Slow `mapstructure:"slow"`
	// EdgeP99 takes requests that took longer than 99 % of those between the same two workloads.
	EdgeP99 Reason `mapstructure:"edge_p99"`
}

// Reason is a reason to sample.
type Reason struct {
	Enabled bool `mapstructure:"enabled"`
	// PerSecond is the most spans per second for this reason.
	PerSecond float64 `mapstructure:"per_second"`
}

// Head is the spans.sampling.head section.
type Head struct {
	// Ratio is between 0 and 1: 0.01 is one trace in a hundred.
	Ratio float64 `mapstructure:"ratio"`
	// PerSecond is the most spans per second for this reason.
	PerSecond float64 `mapstructure:"per_second"`
}

// Slow is the spans.sampling.slow section.
type Slow struct {
	// Over is the limit. 0 samples none.
	Over time.Duration `mapstructure:"over"`
	// PerSecond is the most spans per second for this reason.
	PerSecond float64 `mapstructure:"per_second"`
}

// Queue is the spans.queue section.
type Queue struct {
	// Size is how many spans an exporter's queue holds.
	Size int `mapstructure:"size"`
	// Consumers is how many requests are under way at once.
	Consumers int `mapstructure:"consumers"`
	// Storage is the id of an extension that keeps the queue on disk: file_storage. Empty keeps it in memory.
	Storage string `mapstructure:"storage"`
}

// Modes.
const (
	ModeAuto   = "auto"
	ModeAlways = "always"
	ModeOff    = "off"
)

// DefaultConfig returns the configuration that sends spans to nobody.
func DefaultConfig() Config {
	return Config{
		Mode:      ModeAuto,
		Exporters: []string{},
		Sampling: Sampling{
			Proxy:   Reason{Enabled: true, PerSecond: 2000},
			Head:    Head{PerSecond: 2000},
			Error:   Reason{Enabled: true, PerSecond: 200},
			Denied:  Reason{Enabled: true, PerSecond: 100},
			Slow:    Slow{Over: time.Second, PerSecond: 100},
			EdgeP99: Reason{Enabled: true, PerSecond: 20},
		},
		BatchSize:     512,
		FlushInterval: time.Second,
		Buffer:        50_000,
		Queue:         Queue{Size: 50_000, Consumers: 4},
	}
}

// Validate returns every problem of c, each with its key.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if !slices.Contains([]string{ModeAuto, ModeAlways, ModeOff}, c.Mode) {
		bad("mode", "%q is not one of auto, always, off", c.Mode)
	}
	for i, id := range c.Exporters {
		if slices.Contains(c.Exporters[:i], id) {
			bad(fmt.Sprintf("exporters[%d]", i), "%q is there twice", id)
		}
	}
	s := &c.Sampling
	if !(s.Head.Ratio >= 0 && s.Head.Ratio <= 1) {
		bad("sampling::head::ratio", "%v is not between 0 and 1", s.Head.Ratio)
	}
	if s.Slow.Over < 0 {
		bad("sampling::slow::over", "%s is negative", s.Slow.Over)
	}
	for _, r := range []struct {
		name string
		rate float64
	}{
		{"proxy", s.Proxy.PerSecond}, {"head", s.Head.PerSecond}, {"error", s.Error.PerSecond},
		{"denied", s.Denied.PerSecond}, {"slow", s.Slow.PerSecond}, {"edge_p99", s.EdgeP99.PerSecond},
	} {
		if !(r.rate > 0) || math.IsInf(r.rate, 0) {
			bad("sampling::"+r.name+"::per_second", "must be more than 0, is %v", r.rate)
		}
	}
	if c.BatchSize < 1 {
		bad("batch_size", "must be positive, is %d", c.BatchSize)
	}
	if c.FlushInterval <= 0 {
		bad("flush_interval", "must be positive, is %s", c.FlushInterval)
	}
	if c.Buffer < c.BatchSize {
		bad("buffer", "must be at least batch_size (%d), is %d", c.BatchSize, c.Buffer)
	}
	if c.Queue.Size < 1 {
		bad("queue::size", "must be positive, is %d", c.Queue.Size)
	}
	if c.Queue.Consumers < 1 {
		bad("queue::consumers", "must be positive, is %d", c.Queue.Consumers)
	}
	return errors.Join(errs...)
}
