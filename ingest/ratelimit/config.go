package ratelimit

import (
	"errors"
	"fmt"
	"time"
)

// OnError is the answer when it could not be found out which limits apply.
type OnError string

const (
	OnErrorDeny     OnError = "deny"           // OVER_LIMIT
	OnErrorAllow    OnError = "allow"          // OK
	OnErrorResponse OnError = "error_response" // an error: let the proxy's own failure mode answer
)

// Config says how rate limit requests are answered.
type Config struct {
	// OnError is the answer when it could not be found out which limits apply (an error, the deadline, overload): error_response leaves it to the proxy's failure_mode_deny, as envoyproxy/ratelimit does; deny and allow say OVER_LIMIT and OK.
	OnError OnError `mapstructure:"on_error"`
	// Timeout is how long an answer may take. Keep it below the proxy's own timeout (Envoy's default is 20ms).
	Timeout time.Duration `mapstructure:"timeout"`
	// MaxInFlight is how many requests may be worked on at once; the answer to more is that of on_error, immediately.
	MaxInFlight int `mapstructure:"max_in_flight"`
	// Shadow counts everything and refuses nothing: SHADOW_MODE of envoyproxy/ratelimit.
	Shadow bool `mapstructure:"shadow"`
	// QuotaMode reports what is over its limit in the dynamic metadata and refuses nothing: QUOTA_MODE there.
	QuotaMode bool `mapstructure:"quota_mode"`
	// DynamicMetadata tells the proxy of the descriptors and of excesses in quota mode: RESPONSE_DYNAMIC_METADATA there.
	DynamicMetadata bool `mapstructure:"dynamic_metadata"`
	// ResponseHeaders tell the client of the limit that is nearest: LIMIT_RESPONSE_HEADERS_ENABLED there.
	ResponseHeaders HeadersConfig `mapstructure:"response_headers"`
	// Body is what a client gets that is over the limit.
	Body string `mapstructure:"body"`
	// NearLimitRatio is the share of a limit above which hits are counted as near it: NEAR_LIMIT_RATIO there.
	NearLimitRatio float64 `mapstructure:"near_limit_ratio"`
	// MaxMetrics is how many limits have series of their own; the others are counted together as other.
	MaxMetrics int `mapstructure:"max_metrics"`
}

// HeadersConfig names response headers. One without a name is not sent.
type HeadersConfig struct {
	// Enabled adds the headers.
	Enabled bool `mapstructure:"enabled"`
	// Limit names the header with the requests per unit: LIMIT_LIMIT_HEADER.
	Limit string `mapstructure:"limit"`
	// Remaining names the header with what is left: LIMIT_REMAINING_HEADER.
	Remaining string `mapstructure:"remaining"`
	// Reset names the header with the seconds until the window ends: LIMIT_RESET_HEADER.
	Reset string `mapstructure:"reset"`
	// RetryAfter names a header with the seconds until a client that is over its limit may come again, as retry-after.
	RetryAfter string `mapstructure:"retry_after"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		OnError:        OnErrorResponse,
		Timeout:        15 * time.Millisecond,
		MaxInFlight:    1000,
		NearLimitRatio: 0.8,
		MaxMetrics:     1000,
		ResponseHeaders: HeadersConfig{
			Limit: "RateLimit-Limit", Remaining: "RateLimit-Remaining", Reset: "RateLimit-Reset",
		},
	}
}

// Validate returns every problem, each with its key path relative to the
// section.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	switch c.OnError {
	case OnErrorDeny, OnErrorAllow, OnErrorResponse:
	default:
		bad("on_error", "%q is none of %s, %s, %s", c.OnError, OnErrorDeny, OnErrorAllow, OnErrorResponse)
	}
	if c.Timeout <= 0 {
		bad("timeout", "%s is not more than 0", c.Timeout)
	}
	if c.MaxInFlight < 1 {
		bad("max_in_flight", "%d is less than 1", c.MaxInFlight)
	}
	if !(c.NearLimitRatio >= 0 && c.NearLimitRatio <= 1) {
		bad("near_limit_ratio", "%v is not between 0 and 1", c.NearLimitRatio)
	}
	if c.MaxMetrics < 0 {
		bad("max_metrics", "%d is negative", c.MaxMetrics)
	}
	for key, name := range c.ResponseHeaders.names() {
		if name != "" && !validHeaderName(name) {
			bad("response_headers."+key, "%q is not a header name", name)
		}
	}
	return errors.Join(errs...)
}

func (h *HeadersConfig) names() func(func(key, name string) bool) {
	return func(yield func(string, string) bool) {
		_ = yield("limit", h.Limit) && yield("remaining", h.Remaining) && yield("reset", h.Reset) && yield("retry_after", h.RetryAfter)
	}
}

// validHeaderName says whether s is a token of RFC 9110.
func validHeaderName(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}
