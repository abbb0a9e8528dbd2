package opa

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"
)

// newTransport returns what http.send goes through: only to hosts, and to no
// address that belongs to this machine or its cloud. nil if hosts is empty.
func newTransport(hosts []string) topdown.CustomizeRoundTripper {
	if len(hosts) == 0 {
		return nil
	}
	return func(t *http.Transport) http.RoundTripper {
		if t == nil {
			t = http.DefaultTransport.(*http.Transport).Clone()
			t.DisableKeepAlives = true
		}
		// OPA makes a transport per call; a Unix socket and a proxy would go
		// round the check.
		dialer := &net.Dialer{Timeout: 10 * time.Second, ControlContext: refuseLocal}
		t.DialContext = dialer.DialContext
		t.DialTLSContext = nil
		t.Proxy = nil
		return &allowed{hosts: hosts, next: t}
	}
}

// allowed refuses requests to other hosts, redirects included.
type allowed struct {
	hosts []string
	next  http.RoundTripper
}

func (a *allowed) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return nil, fmt.Errorf("http.send: scheme %q is not http or https", r.URL.Scheme)
	}
	if !slices.ContainsFunc(a.hosts, func(h string) bool { return matchesHost(h, r.URL.Host) }) {
		return nil, fmt.Errorf("http.send: %q is not among http_send.hosts", r.URL.Host)
	}
	return a.next.RoundTrip(r)
}

// matchesHost compares host, maybe with a port, with a pattern of the
// configuration: a name, maybe with a port that must then be equal.
func matchesHost(pattern, host string) bool {
	name, port := splitPort(strings.ToLower(host))
	wantName, wantPort := splitPort(strings.ToLower(pattern))
	if wantPort != "" && wantPort != port {
		return false
	}
	return name == wantName
}

func splitPort(hostport string) (host, port string) {
	if h, p, err := net.SplitHostPort(hostport); err == nil {
		return h, p
	}
	return strings.Trim(hostport, "[]"), ""
}

// errLocal is wrapped by refusals of an address.
var errLocal = errors.New("http.send must not reach loopback, link-local or metadata addresses")

// refuseLocal runs after names are resolved and before a connection is made.
func refuseLocal(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%s: %w", address, errLocal)
	}
	if isLocal(ap.Addr()) {
		return fmt.Errorf("%s: %w", ap.Addr(), errLocal)
	}
	return nil
}

// metadata services of clouds that are not link-local.
var cloudMetadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd20:ce::254"),    // Google
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("192.0.0.192"),     // Oracle
}

var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	sixTo4 = netip.MustParsePrefix("2002::/16")
	thisIP = netip.MustParsePrefix("0.0.0.0/8")
)

func isLocal(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	switch b := a.As16(); {
	case nat64.Contains(a):
		a = netip.AddrFrom4([4]byte(b[12:16]))
	case sixTo4.Contains(a):
		a = netip.AddrFrom4([4]byte(b[2:6]))
	case a.Is6() && [12]byte(b[:12]) == [12]byte{}: // IPv4-compatible, ::, ::1
		if a4 := netip.AddrFrom4([4]byte(b[12:16])); isLocal(a4) {
			return true
		}
	}
	return a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() ||
		thisIP.Contains(a) || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || slices.Contains(cloudMetadata, a)
}
