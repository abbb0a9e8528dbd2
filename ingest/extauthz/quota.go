package extauthz

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"

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
	known := &r.quotas[j.Charge.Strictest]
	tcp := c.listener == mesh.ListenerExtAuthzTCP
	if !j.Charge.Over {
		var buf [256]byte
		ok := buf[:0]
		if !tcp && c.QuotaHeaders == QuotaHeadersAlways {
			result := &j.Charges[j.Charge.Strictest]
			ok = append(ok, known.limit...)
			ok = appendNumber(ok, okResponseHeaders, headerRemaining, result.Remaining)
			ok = appendNumber(ok, okResponseHeaders, headerReset, wholeSeconds(result.Reset))
		}
		return r.responseWith(j.ID, ok, known.meta)
	}
	answer := rendered{meta: append(r.meta[:len(r.meta):len(r.meta)], known.meta...)}
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

// quotaRendered is what of a quota is the same in every answer.
type quotaRendered struct {
	limit []byte // the header x-ratelimit-limit, as a field of OkHttpResponse
	meta  []byte // a field of dynamic_metadata
}

func renderQuotas(quotas []mesh.Quota) []quotaRendered {
	out := make([]quotaRendered, len(quotas))
	for i := range quotas {
		q := &quotas[i]
		option := wire.AppendMessage(nil, 1, appendPair(nil, headerLimit, limitValue(q)))
		out[i] = quotaRendered{
			limit: wire.AppendMessage(nil, okResponseHeaders, option),
			meta:  appendMetadata(nil, metaQuota, stringValue(q.Name)),
		}
	}
	return out
}

// Headers about a quota.
// Source: https://datatracker.ietf.org/doc/html/draft-polli-ratelimit-headers-03
const (
	headerLimit     = "x-ratelimit-limit"
	headerRemaining = "x-ratelimit-remaining"
	headerReset     = "x-ratelimit-reset"
)

func limitValue(q *mesh.Quota) string {
	limit := strconv.FormatUint(q.Limit, 10)
	return limit + ", " + limit + ";w=" + seconds(q.Per)
}

// appendNumber appends a HeaderValueOption of a short name and a number: every
// length takes one byte.
func appendNumber(b []byte, num protowire.Number, name string, n uint64) []byte {
	var buf [20]byte
	value := strconv.AppendUint(buf[:0], n, 10)
	pair := wire.FieldSize(len(name)) + wire.FieldSize(len(value))
	b = wire.AppendHead(b, num, wire.FieldSize(pair))
	b = wire.AppendHead(b, 1, pair)
	b = wire.AppendString(b, 1, name)
	return append(wire.AppendHead(b, 2, len(value)), value...)
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
		headers = append(headers,
			mesh.Header{Name: headerLimit, Value: limitValue(q)},
			mesh.Header{Name: headerRemaining, Value: strconv.FormatUint(r.Remaining, 10)},
			mesh.Header{Name: headerReset, Value: seconds(r.Reset)})
	}
	if r.Over && grpc {
		// Envoy would make UNAVAILABLE of a 429, which clients send again.
		_, message, _ := c.quotaDenial(j)
		if message == "" {
			message = "quota " + q.Name + " is used up"
		}
		headers = append(headers,
			mesh.Header{Name: "grpc-status", Value: strconv.Itoa(int(codes.ResourceExhausted))},
			mesh.Header{Name: "grpc-message", Value: grpcMessage(message)})
	}
	return headers
}

// grpcMessage returns text as the value of the header grpc-message.
// Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md (Percent-Encoded)
func grpcMessage(text string) string {
	var b strings.Builder
	for _, c := range []byte(strings.TrimSpace(text)) {
		if c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
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

func seconds(d time.Duration) string { return strconv.FormatUint(wholeSeconds(d), 10) }

// wholeSeconds rounds up: who comes at that time is not too early.
func wholeSeconds(d time.Duration) uint64 {
	n := uint64(d / time.Second)
	if d%time.Second > 0 {
		n++
	}
	return n
}
