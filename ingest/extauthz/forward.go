package extauthz

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// Forward is a forward-auth listener's handler.
type Forward struct {
	server     *Server
	cfg        ForwardConfig
	proxies    proxies
	extensions []byte // context_extensions on the wire
}

// NewForward returns a handler that answers with the verdicts, the limit and the
// metrics of s.
func (s *Server) NewForward(cfg ForwardConfig) (*Forward, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure forward-auth: %w", err)
	}
	f := &Forward{server: s, cfg: cfg, proxies: newProxies(cfg.TrustedProxies)}
	for name, value := range cfg.ContextExtensions {
		f.extensions = wire.AppendMessage(f.extensions, 10, appendPair(nil, valid(name), valid(value)))
	}
	return f, nil
}

// Headers of an answer by which a proxy's log can be joined with the decision.
const (
	headerDecisionID = "X-Tallygate-Decision-Id"
	headerRule       = "X-Tallygate-Policy-Rule"
	headerError      = "X-Tallygate-Policy-Error"
	headerStatus     = "X-Tallygate-Status" // of a denial that the proxy can only say as 403
)

// headerRemove tells Envoy's http_service which request headers to remove.
const headerRemove = "X-Envoy-Auth-Headers-To-Remove"

func (f *Forward) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	c := f.server.begin()
	defer f.server.release(c)
	c.listener = mesh.ListenerForwardAuth
	j := f.judge(start, c, r)
	f.answer(w.Header(), c, &j).write(w, &j)
	f.server.count(c, start, &j)
}

func (f *Forward) judge(start time.Time, c *check, r *http.Request) judgement {
	if !f.proxies.trusts(r.RemoteAddr) {
		return f.server.refuse(badProxy)
	}
	o, ok := f.originalOf(r)
	if !ok {
		return f.server.refuse(badHeader)
	}
	body, partial, err := readBody(c, r)
	if err != nil {
		return f.server.refuse(badBody)
	}
	c.http = f.appendCheckRequest(c.http[:0], start, r, &o, body, partial)
	if !c.lens.reset(c.http) {
		return f.server.refuse(badHeader) // more than 4 GiB
	}
	return f.server.judge(r.Context(), start, c, f.cfg.Entrypoint)
}

// readBody reads no more of the body than is parsed.
func readBody(c *check, r *http.Request) (body []byte, partial bool, err error) {
	if c.bodies == nil || r.ContentLength == 0 {
		return nil, false, nil
	}
	body, err = io.ReadAll(io.LimitReader(r.Body, int64(c.bodies.max)+1))
	if len(body) > c.bodies.max {
		return body[:c.bodies.max], true, err
	}
	return body, false, err
}

// reply is an answer over HTTP, but for its headers.
type reply struct {
	status int
	body   string
}

func (p reply) write(w http.ResponseWriter, j *judgement) {
	h := w.Header()
	if j.ID != "" {
		h.Set(headerDecisionID, j.ID)
	}
	h.Set("Content-Length", strconv.Itoa(len(p.body)))
	if p.body != "" && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	w.WriteHeader(p.status)
	io.WriteString(w, p.body) // a proxy that is gone needs no answer
}

// answer says a judgement over HTTP. An allowance that cannot be carried out
// changes its outcome.
func (f *Forward) answer(h http.Header, c *check, j *judgement) reply {
	switch {
	case j.outcome == outcomeCanceled:
		return reply{status: http.StatusServiceUnavailable}
	case j.refused != "":
		h.Set(headerError, "unreadable "+string(j.refused))
		status := http.StatusBadRequest
		if j.refused == badProxy {
			status = http.StatusForbidden
		}
		return f.denial(h, status, "")
	case j.failed != "":
		h.Set(headerError, j.failed)
		switch j.onError {
		case OnErrorAllow:
			return reply{status: http.StatusOK}
		case OnErrorDeny:
			return f.denial(h, c.ErrorStatus, "")
		}
		return reply{status: http.StatusServiceUnavailable} // to every proxy an error, to none a denial
	}
	v := j.Verdict
	if v.Rule != "" && validValue(v.Rule) {
		h.Set(headerRule, v.Rule)
	}
	r := f.server.renderForward(v)
	if r.allowed && f.cfg.Mode != ModeEnvoy && len(v.HeadersToRemove) > 0 {
		f.server.m.results.WithLabelValues(refusedUnsupported).Inc()
		j.outcome = outcomeRefused
		return f.denial(h, defaultDenial, "")
	}
	if v.Allowed && !r.allowed {
		j.outcome = outcomeRefused
		return f.denial(h, defaultDenial, "")
	}
	if r.allowed && len(j.Charges) > 0 {
		headers := c.quotaHeaders(nil, j, f.server.grpc(c))
		if j.Charge.Over {
			status, body, more := c.quotaDenial(j)
			for _, e := range append(headers, more...) {
				f.server.addHeader(h, e)
			}
			return f.denial(h, status, body)
		}
		for _, e := range headers {
			h.Add(e.Name, e.Value)
		}
	}
	for _, e := range r.headers {
		h.Add(e.Name, e.Value)
	}
	if !r.allowed {
		return f.denial(h, r.status, r.body)
	}
	if len(v.HeadersToRemove) > 0 {
		h.Set(headerRemove, strings.Join(v.HeadersToRemove, ","))
	}
	return reply{status: http.StatusOK}
}

// denial is a denial in a status that the proxy takes for one: to nginx
// everything but 401 and 403 is an error, and to Envoy 5xx.
func (f *Forward) denial(h http.Header, status int, body string) reply {
	var understood bool
	switch f.cfg.Mode {
	case ModeNginx:
		understood = status == http.StatusUnauthorized || status == http.StatusForbidden
	case ModeEnvoy:
		understood = status >= 300 && status < 500
	default:
		understood = status >= 300
	}
	if !understood {
		h.Set(headerStatus, strconv.Itoa(status))
		status = http.StatusForbidden
	}
	return reply{status, body}
}

// forwardRendered is what a verdict comes to over HTTP.
type forwardRendered struct {
	allowed bool
	status  int
	body    string
	headers []mesh.Header
	refused []string
}

// framing are the headers that say how a message is cut out of a connection:
// they are ours.
var framing = []string{"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}

func (s *Server) renderForward(v *mesh.Verdict) *forwardRendered {
	r, ok := v.Rendered[mesh.ListenerForwardAuth].Load().(*forwardRendered)
	if !ok {
		r = renderForward(v)
		v.Rendered[mesh.ListenerForwardAuth].Store(r)
	}
	for _, reason := range r.refused {
		s.m.results.WithLabelValues(reason).Inc()
	}
	return r
}

func renderForward(v *mesh.Verdict) *forwardRendered {
	r := &forwardRendered{allowed: v.Allowed, status: defaultDenial, body: v.Body}
	add := func(list []mesh.Header) {
		for _, h := range list {
			p := headerProblem(h)
			if p == "" && slices.Contains(framing, strings.ToLower(h.Name)) {
				p = refusedName
			}
			if p != "" {
				r.refused = append(r.refused, p)
				continue
			}
			r.headers = append(r.headers, h)
		}
	}
	add(v.Headers)
	if !v.Allowed {
		if knownStatus(v.Status) && v.Status >= 200 {
			r.status = v.Status
		} else if v.Status != 0 {
			r.refused = append(r.refused, refusedStatus)
		}
		return r
	}
	add(v.ResponseHeaders)
	for _, name := range v.HeadersToRemove {
		if !validName(name) {
			r.refused = append(r.refused, refusedName)
		}
	}
	if len(v.QueryToSet)+len(v.QueryToRemove) > 0 {
		r.refused = append(r.refused, refusedUnsupported)
	}
	r.allowed = len(r.refused) == 0
	return r
}

func formatInt(i int64) string { return strconv.FormatInt(i, 10) }
