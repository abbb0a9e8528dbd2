package extauthz

import (
	"crypto/x509"
	"net/http"
	"net/netip"
	"strings"
)

// original is the request that a proxy asks about.
type original struct {
	method, scheme, host, path string
	client                     netip.AddrPort // without a port if that is not known
	read                       []string       // headers that told of it, in canonical form
}

// Why a forward-auth request is refused, beside what is wrong with the original
// request.
const (
	badProxy  problem = "untrusted_proxy" // not among trusted_proxies
	badHeader problem = "forward_headers" // of the mode: missing, repeated or malformed
)

// originalOf finds the original request. Only the headers of the mode are read;
// each must be there exactly once, for else a client might have sent it.
func (f *Forward) originalOf(r *http.Request) (o original, ok bool) {
	o.client, _ = netip.ParseAddrPort(r.RemoteAddr)
	one := func(name string) string {
		v := r.Header.Values(name)
		o.read = append(o.read, http.CanonicalHeaderKey(name))
		if len(v) != 1 || v[0] == "" {
			ok = false
			return ""
		}
		return v[0]
	}
	ok = true
	switch f.cfg.Mode {
	case ModeEnvoy:
		o.method, o.scheme, o.host = r.Method, "http", r.Host
		var found bool
		if o.path, found = strings.CutPrefix(r.RequestURI, f.cfg.PathPrefix); !found {
			return o, false
		}
	case ModeNginx:
		o.method, o.scheme, o.host = one("X-Original-Method"), "http", r.Host
		o.path = one(f.cfg.OriginalURLHeader)
		if scheme, rest, found := strings.Cut(o.path, "://"); found && !strings.HasPrefix(o.path, "/") {
			o.scheme = scheme
			i := strings.IndexAny(rest, "/?#")
			if i < 0 {
				i = len(rest)
			}
			o.host, o.path = rest[:i], rest[i:]
		}
		if f.cfg.ClientIPHeader != "" {
			o.setClient(one(f.cfg.ClientIPHeader), &ok)
		}
	case ModeTraefik:
		o.method, o.scheme = one("X-Forwarded-Method"), one("X-Forwarded-Proto")
		o.host, o.path = one("X-Forwarded-Host"), one("X-Forwarded-Uri")
		list := one("X-Forwarded-For")
		o.setClient(strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:]), &ok)
	}
	if !validName(o.method) || o.path != "" && o.path[0] != '/' && o.path[0] != '?' && o.path != "*" {
		return o, false
	}
	return o, ok
}

func (o *original) setClient(s string, ok *bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		*ok = false
		return
	}
	o.client = netip.AddrPortFrom(a.Unmap(), 0)
}

// principalOf returns the principal of a verified client certificate, as Envoy
// does: the first URI, else the first DNS name, else the subject.
func principalOf(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return ""
	}
	var c *x509.Certificate = r.TLS.VerifiedChains[0][0]
	switch {
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	}
	return c.Subject.String()
}
