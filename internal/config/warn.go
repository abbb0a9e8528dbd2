package config

import (
	"net"
	"slices"
	"strings"

	"github.com/tallygate/tallygate/ingest"
	"github.com/tallygate/tallygate/ingest/als"
)

// Warnings returns what is allowed but seldom meant, in the order of the paths.
func (c *Config) Warnings() []Problem {
	var ps Problems
	logs := &c.Ingest.ALS
	verified := logs.TLS.HasValue() && logs.TLS.Get().ClientCAFile != ""
	if !verified && !local(&logs.AddrConfig) {
		ps.add("ingest.als.tls.client_ca_file", "is not set and %s is not loopback: whoever reaches the port may report anything", logs.Endpoint)
	}
	if !verified && logs.Identity == als.IdentityStrict {
		ps.add("ingest.als.identity", "is strict, but without tls.client_ca_file no stream has a certificate to check")
	}
	if checks := &c.Ingest.ExtAuthz; c.RunsPolicy() && !local(&checks.AddrConfig) && (!checks.TLS.HasValue() || checks.TLS.Get().ClientCAFile == "") {
		ps.add("ingest.extauthz.tls.client_ca_file", "is not set and %s is not loopback: whoever reaches the port may ask, and claim to be any proxy", checks.Endpoint)
	}
	if c.RunsPolicy() && slices.Contains(c.Policy.Get().OPA.Paths, "builtin:permissive") && !local(&c.Ingest.ExtAuthz.AddrConfig) {
		ps.add("policy.paths", "has the permissive example, and %s is not loopback: every request of a mesh is allowed", c.Ingest.ExtAuthz.Endpoint)
	}
	c.warnRateLimit(&ps)
	if !c.Admin.TLS.HasValue() && !local(&c.Admin.AddrConfig) {
		ps.add("admin.tls", "is not set and %s is not loopback: the bearer token crosses the network in plain text", c.Admin.Endpoint)
	}
	if len(c.Exporters) > 0 && len(c.Push.Exporters) == 0 && len(c.Spans.Exporters) == 0 {
		ps.add("push.exporters", "is empty, and so is spans.exporters: nothing goes to what is configured in exporters")
	}
	if len(c.Receivers) > 0 && len(c.Spans.Exporters) == 0 {
		ps.add("spans.exporters", "is empty: receivers have nowhere to send their spans to")
	}
	ps.sort()
	return ps
}

// local reports whether only this machine can connect.
func local(a *ingest.AddrConfig) bool {
	if a.Transport == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(a.Endpoint)
	ip := net.ParseIP(host)
	return err == nil && (strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback())
}
