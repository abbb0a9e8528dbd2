package opa

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

const (
	httpSend   = "http.send"
	opaRuntime = "opa.runtime"
	lookupAddr = "net.lookup_ip_addr"

	matchSchema  = "json.match_schema"
	verifySchema = "json.verify_schema"
)

// forbidden built-ins reach out of the evaluation.
var forbidden = map[string]bool{httpSend: true, opaRuntime: true, lookupAddr: true}

// permission tells how a forbidden built-in is allowed.
var permission = map[string]string{
	httpSend:   "list the hosts it may reach in http_send.hosts",
	opaRuntime: "name it in allow_builtins",
	lookupAddr: "name it in allow_builtins",

	matchSchema:  "remove http_send.hosts, beside which it could fetch schemas unchecked",
	verifySchema: "remove http_send.hosts, beside which it could fetch schemas unchecked",
}

// capabilities returns what policies may use.
func (c *Config) capabilities() *ast.Capabilities {
	caps := ast.CapabilitiesForThisVersion(ast.CapabilitiesRegoVersion(ast.RegoV1))
	caps.AllowNet = []string{}
	for _, h := range c.HTTPSend.Hosts {
		name, _ := splitPort(h)
		caps.AllowNet = append(caps.AllowNet, name)
	}
	caps.Builtins = slices.DeleteFunc(slices.Clone(caps.Builtins), func(b *ast.Builtin) bool {
		switch b.Name {
		case httpSend:
			return len(c.HTTPSend.Hosts) == 0
		case matchSchema, verifySchema:
			// They fetch what a schema refers to from the hosts allowed, with a
			// client of their own, which nothing keeps from local addresses.
			return len(c.HTTPSend.Hosts) > 0
		}
		return forbidden[b.Name] && !slices.Contains(c.Builtins, b.Name)
	})
	return caps
}
