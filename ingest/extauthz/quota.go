package extauthz

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// QuotaHeaders says which answers tell the caller of its quota.
type QuotaHeaders string

const (
	QuotaHeadersAlways QuotaHeaders = "always"
	QuotaHeadersDenied QuotaHeaders = "denied"
	QuotaHeadersNever  QuotaHeaders = "never"
)

func (h QuotaHeaders) valid() bool {
	return h == QuotaHeadersAlways || h == QuotaHeadersDenied || h == QuotaHeadersNever
}

// Keys of the dynamic metadata about quotas.
const (
	metaQuota     = "quota"      // the strictest
	metaQuotaOver = "quota_over" // it refused
)

// grpc reports whether the caller speaks gRPC, as its content type says.
func (s *Server) grpc(c *check) bool {
	return c.listener != mesh.ListenerExtAuthzTCP && strings.HasPrefix(c.lens.header("content-type"), "application/grpc")
}

// charged returns the answer to a request whose quotas were charged.
func (s *Server) charged(c *check, j *judgement, r *rendered) []byte {
	q, _ := j.Strictest()
	if q == nil { // shadows only
		return r.response(j.ID)
	}
	answer := rendered{head: r.head, meta: appendMetadata(r.meta[:len(r.meta):len(r.meta)], metaQuota, stringValue(q.Name))}
	tcp := c.listener == mesh.ListenerExtAuthzTCP
	if !j.Charge.Over {
		if !tcp && c.QuotaHeaders == QuotaHeadersAlways {
			// A message that comes twice is merged: only what is new has to be written.
			var buf [4]mesh.Header
			var body []byte
			for _, h := range c.quotaHeaders(buf[:0], j, false) {
				body = answer.header(body, okResponseHeaders, h, false)
			}
			answer.head = wire.AppendMessage(r.head[:len(r.head):len(r.head)], responseOK, body)
		}
		return answer.response(j.ID)
	}
	answer.meta = appendMetadata(answer.meta, metaQuotaOver, wire.AppendVarint(nil, 4, 1))
	answer.head = wire.AppendMessage(nil, responseStatus, wire.AppendVarint(nil, 1, uint64(codes.ResourceExhausted)))
	if !tcp {
		status, body, headers := c.quotaDenial(j)
		v := mesh.Verdict{Status: status, Body: body, Headers: append(c.quotaHeaders(nil, j, s.grpc(c)), headers...)}
		answer.head = wire.AppendMessage(answer.head, responseDenied, answer.denied(&v))
		s.countRefused(&answer)
	}
	return answer.response(j.ID)
}

// quotaDenial is what the policy, or else the configuration, says to one whose
// quota is used up.
func (c *check) quotaDenial(j *judgement) (status int, body string, headers []mesh.Header) {
	d := &j.QuotaDenial
	status, body = d.Status, d.Body
	if status == 0 {
		status = http.StatusTooManyRequests
	}
	if body == "" {
		body = c.QuotaBody
	}
	return status, body, d.Headers
}

// quotaHeaders appends what the answer tells the caller of the strictest quota.
func (c *check) quotaHeaders(headers []mesh.Header, j *judgement, grpc bool) []mesh.Header {
	q, r := j.Strictest()
	if q == nil {
		return headers
	}
	if r.Over && r.RetryAfter != mesh.Never {
		headers = append(headers, mesh.Header{Name: "retry-after", Value: seconds(max(1, r.RetryAfter))})
	}
	if c.QuotaHeaders == QuotaHeadersAlways || c.QuotaHeaders == QuotaHeadersDenied && r.Over {
		limit := strconv.FormatUint(q.Limit, 10)
		headers = append(headers,
			mesh.Header{Name: "x-ratelimit-limit", Value: limit + ", " + limit + ";w=" + seconds(q.Per)},
			mesh.Header{Name: "x-ratelimit-remaining", Value: strconv.FormatUint(r.Remaining, 10)},
			mesh.Header{Name: "x-ratelimit-reset", Value: seconds(r.Reset)})
	}
	if r.Over && grpc {
		// Envoy would make UNAVAILABLE of a 429, which clients send again.
		headers = append(headers,
			mesh.Header{Name: "grpc-status", Value: strconv.Itoa(int(codes.ResourceExhausted))},
			mesh.Header{Name: "grpc-message", Value: "quota " + q.Name + " is used up"})
	}
	return headers
}

// addHeader adds one that a policy gives, if it can be sent.
func (s *Server) addHeader(h http.Header, e mesh.Header) {
	p := headerProblem(e)
	if p == "" && slices.Contains(framing, strings.ToLower(e.Name)) {
		p = refusedName
	}
	if p != "" {
		s.m.results.WithLabelValues(p).Inc()
		return
	}
	h.Add(e.Name, e.Value)
}

// seconds rounds up: who comes at that time is not too early.
func seconds(d time.Duration) string {
	n := d / time.Second
	if d%time.Second > 0 {
		n++
	}
	return strconv.FormatInt(int64(n), 10)
}
