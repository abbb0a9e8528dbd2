package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// guard decides who may see what.
type guard struct {
	hosts    []string               // besides loopback
	token    atomic.Pointer[string] // nil until there is one
	anywhere bool                   // hosts has "*"
	refused  *prometheus.CounterVec // by reason
	sessions sessions
}

func newGuard(hosts []string, reg prometheus.Registerer) *guard {
	g := &guard{
		hosts:    hosts,
		anywhere: slices.Contains(hosts, "*"),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tallygate_admin_requests_refused_total",
			Help: "Requests to the admin endpoint that were refused, by reason: a Host that is not ours, an Origin that is not ours, no valid token.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{"host", "origin", "token"} {
		g.refused.WithLabelValues(reason)
	}
	reg.MustRegister(g.refused)
	return g
}

// addressed passes requests whose Host and Origin are this endpoint's.
func (g *guard) addressed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.hostAllowed(r) {
			g.refuse(w, "host", http.StatusMisdirectedRequest, "This Host is not served here; see admin.allowed_hosts.")
			return
		}
		if origin, ok := r.Header["Origin"]; ok && !sameOrigin(origin, r) {
			g.refuse(w, "origin", http.StatusForbidden, "Requests of pages from elsewhere are not served here.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostAllowed reports whether the Host is loopback, the address that the
// connection came in on, or configured. A name that resolves to us is not
// enough: that is how DNS rebinding works.
func (g *guard) hostAllowed(r *http.Request) bool {
	if g.anywhere {
		return true
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if _, unix := local.(*net.UnixAddr); unix {
		return true // no browser gets here
	}
	host := hostname(r.Host)
	if strings.EqualFold(host, "localhost") || slices.ContainsFunc(g.hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
		return true
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return false
	}
	tcp, _ := local.(*net.TCPAddr)
	return ip.IsLoopback() || tcp != nil && ip.Equal(tcp.IP)
}

func hostname(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return strings.Trim(hostport, "[]")
}

func sameOrigin(origin []string, r *http.Request) bool {
	if len(origin) != 1 {
		return false
	}
	u, err := url.Parse(origin[0])
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) && (u.Scheme == "https") == (r.TLS != nil)
}

// trusted passes requests with the token or a verified client certificate.
func (g *guard) trusted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 || g.tokenMatches(r.Header.Get("Authorization")) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="tallygate"`)
		g.refuse(w, "token", http.StatusUnauthorized, "This needs the bearer token in admin.token_file, or a client certificate.")
	})
}

func (g *guard) tokenMatches(header string) bool {
	scheme, got, _ := strings.Cut(header, " ")
	if got = strings.TrimSpace(got); !strings.EqualFold(scheme, "bearer") {
		return false
	}
	if g.sessions.knows(got) {
		return true
	}
	want := g.token.Load()
	if want == nil || *want == "" {
		return false
	}
	// Hashed, so that the comparison does not tell the length.
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(*want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func (g *guard) refuse(w http.ResponseWriter, reason string, code int, text string) {
	g.refused.WithLabelValues(reason).Inc()
	http.Error(w, text, code)
}
