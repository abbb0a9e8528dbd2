package opa

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

const (
	httpSend   = "http.send"
	opaRuntime = "opa.runtime"
	lookupAddr = "net.lookup_ip_addr"
)

// forbidden built-ins reach out of the evaluation.
var forbidden = map[string]bool{httpSend: true, opaRuntime: true, lookupAddr: true}

// permission tells how a forbidden built-in is allowed.
var permission = map[string]string{
	httpSend:   "list the hosts it may reach in http_send.hosts",
	opaRuntime: "name it in allow_builtins",
	lookupAddr: "name it in allow_builtins",
}

// capabilities returns what policies may use.
func (c *Config) capabilities() *ast.Capabilities {
	caps := ast.CapabilitiesForThisVersion(ast.CapabilitiesRegoVersion(ast.RegoV1))
	caps.AllowNet = []string{} // no schema is fetched either
	caps.Builtins = slices.DeleteFunc(slices.Clone(caps.Builtins), func(b *ast.Builtin) bool {
		if b.Name == httpSend {
			return len(c.HTTPSend.Hosts) == 0
		}
		return forbidden[b.Name] && !slices.Contains(c.Builtins, b.Name)
	})
	return caps
}
