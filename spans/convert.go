package spans

import (
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/tallygate/tallygate/mesh"
)

// maxText is the longest value of an attribute in bytes; longer ones are cut.
const maxText = 4096

// fill makes s the span of an entry. The strings of d become the span's: they must
// own their bytes.
func fill(s ptrace.Span, e *mesh.Entry, d *mesh.Detail, p *place, query bool) {
	client := e.Reporter == mesh.ReporterSource
	a := attributes{s.Attributes()}
	s.SetTraceID(pcommon.TraceID(p.trace))
	s.SetSpanID(pcommon.SpanID(p.span))
	s.SetParentSpanID(pcommon.SpanID(p.parent))
	if p.state != "" {
		s.TraceState().FromRaw(text(p.state))
	}
	s.SetKind(ptrace.SpanKindServer)
	if client {
		s.SetKind(ptrace.SpanKindClient)
	}
	s.SetName(name(e, d))
	start := e.Start
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(start.Add(e.Duration)))
	if why, failed := failure(e, client); failed {
		s.Status().SetCode(ptrace.StatusCodeError)
		s.Status().SetMessage(text(message(e, d)))
		a.PutStr("error.type", why)
	}
	a.request(e, d, client, query)
	if e.Protocol == mesh.ProtocolGRPC {
		a.rpc(e, d)
	}
	a.network(d, client)
	a.mesh(e, d)
	if p.proxy != (spanID{}) {
		a.PutStr("tallygate.proxy_span_id", pcommon.SpanID(p.proxy).String())
	}
	events(s, e, d)
}

// name is of low cardinality: the method of HTTP, as no proxy knows the template
// of the path; service and method of gRPC.
// Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans
func name(e *mesh.Entry, d *mesh.Detail) string {
	if e.Protocol == mesh.ProtocolGRPC {
		if service, method, ok := rpcName(d.Path); ok {
			return text(service + "/" + method)
		}
	}
	if e.Method == "" {
		return "HTTP"
	}
	return e.Method
}

// rpcName splits /package.Service/Method.
func rpcName(path string) (service, method string, ok bool) {
	path, _, _ = strings.Cut(path, "?")
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return "", "", false
	}
	i := strings.LastIndexByte(rest, '/')
	if i <= 0 || i == len(rest)-1 {
		return "", "", false
	}
	return rest[:i], rest[i+1:], true
}

// failure says whether a span has the status Error, and its error.type: a client
// failed if its request did, a server only if it is to blame.
// Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans and …/rpc/grpc
func failure(e *mesh.Entry, client bool) (errorType string, failed bool) {
	if e.Protocol == mesh.ProtocolGRPC && e.GRPCStatus != mesh.NoGRPCStatus {
		failed = e.GRPCStatus != 0 && (client || blames(e.GRPCStatus))
		return grpcCode(e.GRPCStatus), failed
	}
	switch {
	case e.Code == 0:
		if e.Flags == 0 {
			return "no_response", true
		}
		return e.Flags.String(), true
	case e.Code >= 500 || client && e.Code >= 400:
		return decimal(e.Code), true
	}
	return "", false
}

// blames reports whether a gRPC status is the server's fault.
func blames(status int16) bool {
	switch status {
	case 2, 4, 12, 13, 14, 15: // UNKNOWN DEADLINE_EXCEEDED UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS
		return true
	}
	return false
}

// message is for people: what the proxy says of the response.
func message(e *mesh.Entry, d *mesh.Detail) string {
	switch {
	case d.UpstreamFailure != "":
		return d.UpstreamFailure
	case d.CodeDetails != "" && d.CodeDetails != "via_upstream":
		return d.CodeDetails
	case e.Flags != 0:
		return e.Flags.String()
	}
	return ""
}

// text makes s fit for an attribute: valid UTF-8, of bounded length.
func text(s string) string {
	if len(s) > maxText {
		n := maxText
		for n > maxText-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	if !utf8.ValidString(s) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}
