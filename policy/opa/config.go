package opa

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Config says what to compile and what policies may do.
type Config struct {
	// Paths are .rego files, data files (.json, .yaml), directories of these,
	// and bundles (.tar.gz). They are watched.
	Paths []string `mapstructure:"paths"`
	// Entrypoint is the rule that decides by default, as "envoy/authz/allow".
	Entrypoint string `mapstructure:"entrypoint"`
	// Entrypoints are further rules by the name that a route asks for.
	Entrypoints map[string]string `mapstructure:"entrypoints"`
	// PollInterval is how often Paths are looked at for changes.
	PollInterval time.Duration `mapstructure:"poll_interval"`
	// OPAConfig is a file in OPA's own configuration format: services, bundles,
	// keys, status, decision_logs.
	OPAConfig string `mapstructure:"opa_config"`
	// Builtins lists built-in functions that are forbidden unless they are
	// named here: opa.runtime and net.lookup_ip_addr.
	Builtins []string `mapstructure:"allow_builtins"`
	// HTTPSend permits http.send to some hosts.
	HTTPSend HTTPSend `mapstructure:"http_send"`
	// Strict refuses also what OPA's strict mode does: unused variables and
	// imports, deprecated built-ins.
	Strict bool `mapstructure:"strict"`
}

// HTTPSend lists the hosts that http.send may reach; without one it is
// forbidden. Loopback, link-local and metadata addresses are refused whatever
// name led there.
type HTTPSend struct {
	Hosts []string `mapstructure:"hosts"`
}

// DefaultConfig returns the configuration that needs only Paths.
func DefaultConfig() Config {
	return Config{Entrypoint: "envoy/authz/allow", PollInterval: time.Second}
}

// Validate returns every problem, each with its key.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Paths) == 0 && c.OPAConfig == "" {
		bad("paths: name a .rego file, a directory or a bundle, or set opa_config")
	}
	if len(c.Paths) > 0 && c.PollInterval <= 0 {
		bad("poll_interval: must be positive, is %v", c.PollInterval)
	}
	if _, err := entrypointRef(c.Entrypoint); err != nil {
		bad("entrypoint: %w", err)
	}
	for name, rule := range c.Entrypoints {
		if name == "" {
			bad("entrypoints: a name is empty")
		}
		if _, err := entrypointRef(rule); err != nil {
			bad("entrypoints.%s: %w", name, err)
		}
	}
	for _, name := range c.Builtins {
		if !forbidden[name] || name == httpSend {
			bad("allow_builtins: %q is not one of opa.runtime, net.lookup_ip_addr (for http.send set http_send.hosts)", name)
		}
	}
	for _, h := range c.HTTPSend.Hosts {
		if h == "" || strings.ContainsAny(h, "/ @*") {
			bad("http_send.hosts: %q is not a host name, as api.example.com, with an optional port", h)
		}
	}
	return errors.Join(errs...)
}
