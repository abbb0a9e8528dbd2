package config

import (
	"errors"
	"slices"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/ratelimit"
	"github.com/tallygate/tallygate/policy/quota/descriptors"
)

// RateLimitListener is the ingest.ratelimit section: the listener and how
// requests are answered.
type RateLimitListener struct {
	ingest.GRPCConfig `mapstructure:",squash"`
	ratelimit.Config  `mapstructure:",squash"`
}

// Validate returns every problem of both parts.
func (c *RateLimitListener) Validate() error {
	return errors.Join(c.GRPCConfig.Validate(), c.Config.Validate())
}

// RateLimit is the ratelimit section: which limits there are.
type RateLimit struct {
	descriptors.Config `mapstructure:",squash"`
	// Entrypoint has a policy find the limits instead: one of policy.entrypoints, whose decision names a quota for each descriptor.
	Entrypoint string `mapstructure:"entrypoint"`
}

// Validate returns every problem, each with its key path relative to the
// section.
func (c *RateLimit) Validate() error {
	err := c.Config.Validate()
	switch {
	case len(c.Paths) == 0 && c.Entrypoint == "":
		err = errors.Join(err, errors.New("paths: name files or directories in envoyproxy/ratelimit's YAML, or set entrypoint"))
	case len(c.Paths) > 0 && c.Entrypoint != "":
		err = errors.Join(err, errors.New("entrypoint: paths is set too; limits come from one of the two"))
	}
	return err
}

// RunsRateLimit reports whether rate limit requests are answered.
func (c *Config) RunsRateLimit() bool {
	return c.RateLimit.HasValue() && slices.Contains(c.Planes, PlanePolicy)
}

// validateRateLimit looks at what the section has to do with others.
func (c *Config) validateRateLimit(ps *Problems) {
	ps.addError("ingest.ratelimit", c.Ingest.RateLimit.Validate())
	if !c.RateLimit.HasValue() {
		return
	}
	r := c.RateLimit.Get()
	ps.addError("ratelimit", r.Validate())
	if r.Entrypoint == "" {
		return
	}
	if !c.Policy.HasValue() {
		ps.add("ratelimit.entrypoint", "%q needs a policy section", r.Entrypoint)
	} else if _, ok := c.Policy.Get().OPA.Entrypoints[r.Entrypoint]; !ok {
		ps.add("ratelimit.entrypoint", "there is no %q in policy.entrypoints", r.Entrypoint)
	}
}

func defaultRateLimitListener() RateLimitListener {
	c := RateLimitListener{GRPCConfig: ingest.DefaultGRPCConfig("127.0.0.1:8081"), Config: ratelimit.DefaultConfig()}
	c.MaxConcurrentStreams = 1000 // as for ext_authz
	return c
}

// warnRateLimit says what of the section is seldom meant.
func (c *Config) warnRateLimit(ps *Problems) {
	l := &c.Ingest.RateLimit
	if c.RunsRateLimit() && !local(&l.AddrConfig) && (!l.TLS.HasValue() || l.TLS.Get().ClientCAFile == "") {
		ps.add("ingest.ratelimit.tls.client_ca_file", "is not set and %s is not loopback: whoever reaches the port may use up anybody's limit", l.Endpoint)
	}
}
