package extauthz

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Mode is whose way of asking a forward-auth listener understands: it decides
// which headers tell of the original request.
type Mode string

const (
	ModeEnvoy   Mode = "envoy_http" // method, path and host are those of the request itself
	ModeNginx   Mode = "nginx"      // X-Original-URL and X-Original-Method
	ModeTraefik Mode = "traefik"    // X-Forwarded-Method, -Proto, -Host, -Uri and the last of -For
)

// unixProxies among the trusted proxies are those that come by a unix socket.
const unixProxies = "unix"

// ForwardConfig is a forward-auth listener.
type ForwardConfig struct {
	// Mode says who asks, and with it which headers are believed: envoy_http, nginx or traefik.
	Mode Mode `mapstructure:"mode"`
	// TrustedProxies are the addresses, networks in CIDR notation, or unix, that may ask. All others are denied.
	TrustedProxies []string `mapstructure:"trusted_proxies"`
	// Entrypoint is the one that judges; empty means the default one.
	Entrypoint string `mapstructure:"entrypoint"`
	// Principal is attributes.source.principal where the proxy has no client certificate. No header can set it.
	Principal string `mapstructure:"principal"`
	// ContextExtensions are given to policies as attributes.contextExtensions.
	ContextExtensions map[string]string `mapstructure:"context_extensions"`
	// PathPrefix is what Envoy's http_service puts before the path; it is taken away again.
	PathPrefix string `mapstructure:"path_prefix"`
	// OriginalURLHeader is the header that nginx sets to the original URL or its path; it must be set by nginx on every request.
	OriginalURLHeader string `mapstructure:"original_url_header"`
	// ClientIPHeader is the header that nginx sets to the address of the client, X-Real-IP; without one the source address is nginx' own.
	ClientIPHeader string `mapstructure:"client_ip_header"`
}

// DefaultForwardConfig returns the defaults.
func DefaultForwardConfig() ForwardConfig {
	return ForwardConfig{
		Mode:              ModeEnvoy,
		TrustedProxies:    []string{"127.0.0.0/8", "::1", unixProxies},
		OriginalURLHeader: "X-Original-URL",
	}
}

// Validate returns every problem, each with its key path relative to the
// section.
func (c *ForwardConfig) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if c.Mode != ModeEnvoy && c.Mode != ModeNginx && c.Mode != ModeTraefik {
		bad("mode", "%q is none of %s, %s, %s", c.Mode, ModeEnvoy, ModeNginx, ModeTraefik)
	}
	if len(c.TrustedProxies) == 0 {
		bad("trusted_proxies", "must name who may ask")
	}
	for i, s := range c.TrustedProxies {
		if _, err := parseProxy(s); err != nil && s != unixProxies {
			bad(fmt.Sprintf("trusted_proxies[%d]", i), "%q is neither an address, nor a network, nor %s", s, unixProxies)
		}
	}
	if c.PathPrefix != "" && !strings.HasPrefix(c.PathPrefix, "/") {
		bad("path_prefix", "%q does not begin with a slash", c.PathPrefix)
	}
	if c.Mode == ModeNginx && !validName(c.OriginalURLHeader) {
		bad("original_url_header", "%q is not the name of a header", c.OriginalURLHeader)
	}
	if c.ClientIPHeader != "" && !validName(c.ClientIPHeader) {
		bad("client_ip_header", "%q is not the name of a header", c.ClientIPHeader)
	}
	if c.ClientIPHeader != "" && c.Mode != ModeNginx {
		bad("client_ip_header", "only mode %s reads one", ModeNginx)
	}
	return errors.Join(errs...)
}

func parseProxy(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// proxies is who may ask.
type proxies struct {
	networks []netip.Prefix
	unix     bool
}

func newProxies(list []string) (p proxies) {
	for _, s := range list {
		if s == unixProxies {
			p.unix = true
		} else if n, err := parseProxy(s); err == nil {
			p.networks = append(p.networks, n)
		}
	}
	return p
}

// trusts says whether a peer may ask, by its address as net/http gives it: that
// of a unix socket has no port.
func (p *proxies) trusts(remote string) bool {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return p.unix && (remote == "" || remote == "@" || strings.HasPrefix(remote, "/"))
	}
	for _, n := range p.networks {
		if n.Contains(a.Addr().Unmap()) {
			return true
		}
	}
	return false
}
