package policy

import (
	"errors"
	"fmt"
	"time"
)

// Config is what the decider needs to know.
type Config struct {
	// EvaluationTimeout is the longest that one evaluation may take, for all requests that wait for its result.
	EvaluationTimeout time.Duration `mapstructure:"evaluation_timeout"`
	// MaxEvaluations is the most evaluations at once. The limit in force adapts itself below that to how long they take.
	MaxEvaluations int `mapstructure:"max_evaluations"`
	// Cache keeps decisions.
	Cache CacheConfig `mapstructure:"cache"`
	// DecisionLog says what is written about decisions, and where to.
	DecisionLog LogConfig `mapstructure:"decision_log"`
	// Shadow judges a share of the requests by a candidate policy, off the request path.
	Shadow ShadowConfig `mapstructure:"shadow"`
}

// CacheConfig is the cache section.
type CacheConfig struct {
	// Enabled keeps decisions; without it every request is evaluated.
	Enabled bool `mapstructure:"enabled"`
	// MaxSizeMiB bounds the memory of the cache, in MiB.
	MaxSizeMiB int `mapstructure:"max_size_mib"`
	// DefaultTTL is how long a decision is kept whose policy has no opinion. 0 keeps only what the policy states a TTL for.
	DefaultTTL time.Duration `mapstructure:"default_ttl"`
	// MaxTTL is the longest that any decision is kept.
	MaxTTL time.Duration `mapstructure:"max_ttl"`
	// DenyTTL is the longest that a denial is kept.
	DenyTTL time.Duration `mapstructure:"deny_ttl"`
	// MaxKeyBytes is the longest key; a request with more of what the policy reads is evaluated and not kept.
	MaxKeyBytes int `mapstructure:"max_key_bytes"`
}

// LogConfig is the decision_log section.
type LogConfig struct {
	// Sinks are where JSON lines go: stdout, or file:<path>; or opa: OPA's decision_logs plugin as opa_config has it, with the mask and drop policies of the bundles. Without one the last decisions are kept in memory only.
	Sinks []string `mapstructure:"sinks"`
	// Keep is how many of the last decisions stay in memory, for the admin endpoint.
	Keep int `mapstructure:"keep"`
	// MaxRecordsPerSecond bounds what is recorded of allowed requests that the cache answered; the others are counted. Denials, failures and evaluations are always recorded. 0 means no bound.
	MaxRecordsPerSecond int `mapstructure:"max_records_per_second"`
	// MaxInputsPerSecond bounds how many records have the input.
	MaxInputsPerSecond int `mapstructure:"max_inputs_per_second"`
	// InputSample is the share of allowed requests whose input is recorded, 0 to 1; that of denied ones always is, within max_inputs_per_second.
	InputSample float64 `mapstructure:"input_sample"`
	// MaxInputBytes is the largest input that is recorded.
	MaxInputBytes int `mapstructure:"max_input_bytes"`
	// MaskHeaders are request headers whose values are never recorded, beside authorization, proxy-authorization, cookie and x-forwarded-client-cert.
	MaskHeaders []string `mapstructure:"mask_headers"`
	// Mask are paths of the input whose values are never recorded, as in attributes.source.certificate.
	Mask []string `mapstructure:"mask"`
	// QueueSize is how many records may wait to be written; more are dropped and counted.
	QueueSize int `mapstructure:"queue_size"`
}

// ShadowConfig is the shadow section.
type ShadowConfig struct {
	// Paths are the files, directories or bundles of the candidate policy. Empty means no shadow.
	Paths []string `mapstructure:"paths"`
	// Share of the decisions that the candidate judges too, 0 to 1.
	Share float64 `mapstructure:"share"`
	// QueueSize is how many requests may wait for the candidate; more are dropped and counted.
	QueueSize int `mapstructure:"queue_size"`
	// Keep is how many of the last requests that were judged differently stay in memory, for the admin endpoint.
	Keep int `mapstructure:"keep"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		EvaluationTimeout: 150 * time.Millisecond,
		MaxEvaluations:    256,
		Cache: CacheConfig{
			Enabled: true, MaxSizeMiB: 64, DefaultTTL: time.Minute, MaxTTL: 5 * time.Minute, DenyTTL: 10 * time.Second,
			MaxKeyBytes: 16 << 10,
		},
		DecisionLog: LogConfig{
			Keep: 1000, MaxRecordsPerSecond: 5000, MaxInputsPerSecond: 50, InputSample: 0.001,
			MaxInputBytes: 16 << 10, QueueSize: 8192,
		},
		Shadow: ShadowConfig{Share: 0.1, QueueSize: 256, Keep: 100},
	}
}

// Validate returns every problem, each with its key path relative to the
// section.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	positive := func(key string, v int64) {
		if v <= 0 {
			add("%s: %d is not more than 0", key, v)
		}
	}
	notNegative := func(key string, v int64) {
		if v < 0 {
			add("%s: %d is negative", key, v)
		}
	}
	if c.EvaluationTimeout <= 0 {
		add("evaluation_timeout: %s is not more than 0", c.EvaluationTimeout)
	}
	positive("max_evaluations", int64(c.MaxEvaluations))
	positive("cache.max_size_mib", int64(c.Cache.MaxSizeMiB))
	positive("cache.max_key_bytes", int64(c.Cache.MaxKeyBytes))
	if c.Cache.MaxSizeMiB > 1<<20 {
		add("cache.max_size_mib: %d is more than %d", c.Cache.MaxSizeMiB, 1<<20)
	}
	for _, d := range []struct {
		key string
		d   time.Duration
	}{{"cache.default_ttl", c.Cache.DefaultTTL}, {"cache.max_ttl", c.Cache.MaxTTL}, {"cache.deny_ttl", c.Cache.DenyTTL}} {
		if d.d < 0 {
			add("%s: %s is negative", d.key, d.d)
		}
	}
	share := func(key string, v float64) {
		if !(v >= 0 && v <= 1) {
			add("%s: %v is not between 0 and 1", key, v)
		}
	}
	l := &c.DecisionLog
	for i, s := range l.Sinks {
		if _, err := parseSink(s); err != nil {
			add("decision_log.sinks[%d]: %w", i, err)
		}
	}
	notNegative("decision_log.keep", int64(l.Keep))
	notNegative("decision_log.max_records_per_second", int64(l.MaxRecordsPerSecond))
	notNegative("decision_log.max_inputs_per_second", int64(l.MaxInputsPerSecond))
	notNegative("decision_log.max_input_bytes", int64(l.MaxInputBytes))
	positive("decision_log.queue_size", int64(l.QueueSize))
	share("decision_log.input_sample", l.InputSample)
	share("shadow.share", c.Shadow.Share)
	positive("shadow.queue_size", int64(c.Shadow.QueueSize))
	notNegative("shadow.keep", int64(c.Shadow.Keep))
	return errors.Join(errs...)
}
