package extauthz

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// OnError is the answer when a request could not be judged.
type OnError string

const (
	OnErrorDeny     OnError = "deny"           // as a policy would
	OnErrorAllow    OnError = "allow"          // marked in the dynamic metadata
	OnErrorResponse OnError = "error_response" // let the proxy's own failure mode answer
)

func (o OnError) valid() bool {
	return o == OnErrorDeny || o == OnErrorAllow || o == OnErrorResponse
}

// Config says how checks are answered, whatever protocol they come by.
type Config struct {
	// OnError is the answer when a request could not be judged (an error, the deadline, overload): deny, allow or error_response.
	OnError OnError `mapstructure:"on_error"`
	// ErrorStatus is the HTTP status of a denial because of an error, and of an error_response where the protocol has one.
	ErrorStatus int `mapstructure:"error_status"`
	// Entrypoints have their own answers to failures, by the name that a route gives.
	Entrypoints map[string]EntrypointConfig `mapstructure:"entrypoints"`
	// EntrypointKey is the key of context_extensions by which a route names its entrypoint.
	EntrypointKey string `mapstructure:"entrypoint_key"`
	// Timeout is how long a judgement may take. Keep it below the proxy's own timeout (Envoy's default is 200ms).
	Timeout time.Duration `mapstructure:"timeout"`
	// QuotaHeaders says which answers tell the caller of its quota in x-ratelimit-limit, -remaining and -reset: always, denied (only with a 429) or never.
	QuotaHeaders QuotaHeaders `mapstructure:"quota_headers"`
	// QuotaBody is the body of a denial by a quota whose policy gives none.
	QuotaBody string `mapstructure:"quota_body"`
	// MaxInFlight is how many checks may be worked on at once; the answer to more is that of on_error, immediately.
	MaxInFlight int `mapstructure:"max_in_flight"`
	// ParseBody gives policies parsed_body and truncated_body. A body that is not what its content type says is denied with status 400.
	ParseBody bool `mapstructure:"parse_body"`
	// MaxBodyKiB is the largest body in KiB that is parsed; of larger ones parsed_body is null and truncated_body true.
	MaxBodyKiB int `mapstructure:"max_body_kib"`
	// ProtoDescriptor is a file with a FileDescriptorSet of the gRPC services whose messages are to be read as parsed_body.
	ProtoDescriptor string `mapstructure:"proto_descriptor"`
}

// EntrypointConfig is what is particular to an entrypoint.
type EntrypointConfig struct {
	// OnError is the answer for requests of this entrypoint that could not be judged.
	OnError OnError `mapstructure:"on_error"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		OnError:       OnErrorDeny,
		ErrorStatus:   403,
		EntrypointKey: "tallygate.entrypoint",
		Timeout:       150 * time.Millisecond,
		QuotaHeaders:  QuotaHeadersAlways,
		MaxInFlight:   1000,
		ParseBody:     true,
		MaxBodyKiB:    1024,
	}
}

// Validate returns every problem, each with its key path relative to the
// section.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	onError := func(key string, o OnError) {
		if !o.valid() {
			bad(key, "%q is none of %s, %s, %s", o, OnErrorDeny, OnErrorAllow, OnErrorResponse)
		}
	}
	onError("on_error", c.OnError)
	names := make([]string, 0, len(c.Entrypoints))
	for name := range c.Entrypoints {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		onError("entrypoints."+name+".on_error", c.Entrypoints[name].OnError)
	}
	if !knownStatus(c.ErrorStatus) || c.ErrorStatus < 400 {
		bad("error_status", "%d is not an HTTP status of an error", c.ErrorStatus)
	}
	if c.EntrypointKey == "" {
		bad("entrypoint_key", "must not be empty")
	}
	if c.Timeout <= 0 {
		bad("timeout", "%s is not more than 0", c.Timeout)
	}
	if !c.QuotaHeaders.valid() {
		bad("quota_headers", "%q is none of %s, %s, %s", c.QuotaHeaders, QuotaHeadersAlways, QuotaHeadersDenied, QuotaHeadersNever)
	}
	if c.MaxInFlight < 1 {
		bad("max_in_flight", "%d is less than 1", c.MaxInFlight)
	}
	if c.MaxBodyKiB < 0 || c.MaxBodyKiB > 1<<20 {
		bad("max_body_kib", "%d is not between 0 and %d", c.MaxBodyKiB, 1<<20)
	}
	return errors.Join(errs...)
}

// onError returns the answer to a failure by entrypoint.
func (c *Config) onError(entrypoint string) OnError {
	if e, ok := c.Entrypoints[entrypoint]; ok {
		return e.OnError
	}
	return c.OnError
}
