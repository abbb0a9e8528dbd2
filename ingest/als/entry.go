package als

import (
	"encoding/binary"
	"math"
	"strings"
	"time"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// Values of envoy.data.accesslog.v3.AccessLogType.
const (
	typeNotSet = iota
	typeTCPUpstreamConnected
	typeTCPPeriodic
	typeTCPConnectionEnd
	typeDownstreamStart
	typeDownstreamPeriodic
	typeDownstreamEnd
	typeUpstreamPoolReady
	typeUpstreamPeriodic
	typeUpstreamEnd
	typeDownstreamTunnelEstablished
	typeUDPTunnelUpstreamConnected
	typeUDPPeriodic
	typeUDPSessionEnd
	typeTCPConnectionStart
)

// skips says why an HTTP entry does not count, numSkips if it does.
func (r *record) skips() skipReason {
	switch r.logType {
	case typeDownstreamStart:
		return skipStart
	case typeUpstreamPoolReady, typeUpstreamPeriodic, typeUpstreamEnd:
		return skipUpstream
	case typeDownstreamPeriodic, typeDownstreamTunnelEstablished:
		return skipIntermediate
	case typeUDPTunnelUpstreamConnected, typeUDPPeriodic, typeUDPSessionEnd:
		return skipUDP
	}
	if r.intermediate {
		return skipIntermediate
	}
	return numSkips
}

// tcpEvent says what a TCP entry tells of its connection, or why it does not
// count. An entry to hold is skipped but noted.
func (r *record) tcpEvent(ev *tcpEvent) skipReason {
	ev.id = r.get(slotStreamID)
	ev.sent, ev.received = r.connSent, r.connReceived
	ev.started = int64(r.start.time())
	switch r.logType {
	case typeUpstreamPoolReady, typeUpstreamPeriodic, typeUpstreamEnd:
		return skipUpstream
	case typeUDPTunnelUpstreamConnected, typeUDPPeriodic, typeUDPSessionEnd:
		return skipUDP
	case typeTCPConnectionStart, typeDownstreamStart:
		// Where the connection goes is not known before there is an upstream:
		// the opening is counted with the next entry.
		ev.phase = tcpStarts
		ev.hold = !r.set.has(slotUpstreamCluster) || r.handshaking()
	case typeTCPUpstreamConnected:
		ev.phase = tcpConnects
		ev.hold = r.handshaking()
	case typeTCPPeriodic, typeDownstreamPeriodic:
		ev.phase = tcpContinues
	default:
		ev.phase = tcpEnds
		if r.intermediate {
			ev.phase = tcpContinues
		}
	}
	return numSkips
}

// handshaking reports whether the client's certificate may still come: a TCP proxy
// connects upstream while the TLS handshake goes on.
func (r *record) handshaking() bool {
	return r.set.has(slotLocalSAN) && !r.set.has(slotPeerSAN)
}

// entry fills e from a record and its identities.
func (r *record) entry(e *mesh.Entry, reporter mesh.Reporter, res *resolved) {
	*e = mesh.Entry{}
	e.Source, e.Destination, e.Service = res.source, res.destination, res.service
	e.Reporter, e.Security = reporter, res.security
	e.GRPCStatus = mesh.NoGRPCStatus
	e.Code, e.Flags = r.code, r.flags
	e.Start = time.Unix(r.start.sec, int64(r.start.nanos))
	switch {
	case r.hasDuration:
		e.Duration = r.duration.duration()
	case r.hasLastByte:
		e.Duration = r.lastByte.duration()
	}
	if r.tcp {
		e.Protocol = mesh.ProtocolTCP
		return
	}
	if e.RequestBytes = r.wireReceived; e.RequestBytes == 0 {
		e.RequestBytes = r.requestHead + r.requestBody
	}
	if e.ResponseBytes = r.wireSent; e.ResponseBytes == 0 {
		e.ResponseBytes = r.responseHead + r.responseBody
	}
	if uint(r.method) < uint(len(methods)) {
		e.Method = methods[r.method]
	}
	e.RequestID = r.get(slotStreamID)
	r.grpc(e)
	r.trace(e)
	if r.set&measuredSlots != 0 {
		r.measured(e)
	}
}

// methods are the values of envoy.config.core.v3.RequestMethod.
var methods = [...]string{"", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// grpc tells gRPC from HTTP and finds the status.
func (r *record) grpc(e *mesh.Entry) {
	const evidence = slots(1)<<slotContentType | 1<<slotGRPCStats | 1<<slotHeaderStatus | 1<<slotTrailerStatus
	if r.set&evidence == 0 {
		return
	}
	status, hasStatus := grpcStatus(r.get(slotTrailerStatus))
	if !hasStatus {
		status, hasStatus = grpcStatus(r.get(slotHeaderStatus))
	}
	switch contentType := r.get(slotContentType); {
	case isGRPC(contentType), r.set.has(slotGRPCStats):
	case contentType == "" && hasStatus: // the content type is not logged
	default:
		return
	}
	e.Protocol = mesh.ProtocolGRPC
	if !hasStatus {
		status = inferredStatus(e.Code, e.Flags)
	}
	e.GRPCStatus = status
	if r.set.has(slotGRPCStats) {
		e.HasMessages = grpcStats(wire.BytesOf(r.strings[slotGRPCStats]), &e.RequestMessages, &e.ResponseMessages)
	}
}

func isGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(contentType, "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

func grpcStatus(s string) (status int16, ok bool) {
	if s == "" || len(s) > 4 {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		status = status*10 + int16(c-'0')
	}
	return status, true
}

// inferredStatus is the status of a gRPC request that was answered without one,
// from its HTTP status. An undisturbed 200 says only that the proxy does not log
// the trailers.
// Source: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
func inferredStatus(code uint32, flags mesh.Flags) int16 {
	switch code {
	case 0:
		return mesh.NoGRPCStatus
	case 200:
		if flags == 0 {
			return mesh.NoGRPCStatus
		}
		return 2 // UNKNOWN
	case 400:
		return 13 // INTERNAL
	case 401:
		return 16 // UNAUTHENTICATED
	case 403:
		return 7 // PERMISSION_DENIED
	case 404:
		return 12 // UNIMPLEMENTED
	case 429, 502, 503, 504:
		return 14 // UNAVAILABLE
	}
	return 2
}

// grpcStats reads an envoy.extensions.filters.http.grpc_stats.v3.FilterObject.
func grpcStats(b []byte, request, response *uint64) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			*request, *response = 0, 0
			return false
		}
		switch tag {
		case 1<<3 | wire.Varint:
			*request = v
		case 2<<3 | wire.Varint:
			*response = v
		}
		i = end
	}
	return true
}

// trace finds the ids of the trace: the tags, else what the headers say. Whether
// the trace is sampled only a header of the same trace tells: Envoy has no
// formatter for it.
func (r *record) trace(e *mesh.Entry) {
	if id := r.get(slotTraceID); isTraceID(id) {
		e.TraceID = id
	}
	if id := r.get(slotSpanID); len(id) == 16 && isHex(id) {
		e.SpanID = id
	}
	// Only a proxy that traces knows the trace by itself; the tag may also be a
	// copy of a header.
	e.Traced = e.TraceID != "" && (e.SpanID != "" || r.set&(slotTraceparent.bit()|slotB3SpanID.bit()) != 0)
	told := r.get(slotTraceSampled)
	e.TraceSampled = told == "true" || told == "1"
	id, sampled := r.traceHeader()
	if e.TraceID == "" {
		e.TraceID = id
	}
	if told == "" && e.TraceID == id {
		e.TraceSampled = sampled
	}
}

// traceHeader reads traceparent, else the B3 headers, else uber-trace-id.
func (r *record) traceHeader() (id string, sampled bool) {
	const headers = slots(1)<<slotTraceparent | 1<<slotB3TraceID | 1<<slotB3 | 1<<slotUber
	if r.set&headers == 0 {
		return "", false
	}
	if p := r.get(slotTraceparent); len(p) >= 55 && isHex(p[3:35]) {
		return p[3:35], odd(p[54])
	}
	if id := r.get(slotB3TraceID); isTraceID(id) {
		return id, r.get(slotB3Sampled) == "1"
	}
	if b3 := r.get(slotB3); b3 != "" {
		id, rest, _ := strings.Cut(b3, "-")
		_, flag, _ := strings.Cut(rest, "-")
		if isTraceID(id) {
			return id, flag != "" && (flag[0] == '1' || flag[0] == 'd') && (len(flag) == 1 || flag[1] == '-')
		}
	}
	if id, rest, ok := strings.Cut(r.get(slotUber), ":"); ok && rest != "" && isTraceID(id) {
		return id, odd(rest[len(rest)-1])
	}
	return "", false
}

// odd reports whether the last bit of a hexadecimal digit is set.
func odd(c byte) bool {
	return c&1 == 1 && c < 'a' || c == 'b' || c == 'd' || c == 'f'
}

func isTraceID(id string) bool { return (len(id) == 32 || len(id) == 16) && isHex(id) }

// isHex reports whether s is all hexadecimal digits, eight at a time.
func isHex(s string) bool {
	b := wire.BytesOf(s)
	for ; len(b) >= 8; b = b[8:] {
		if !hexWord(binary.LittleEndian.Uint64(b)) {
			return false
		}
	}
	for _, c := range b {
		if !hexWord(0x3030303030303030&^0xff | uint64(c)) {
			return false
		}
	}
	return true
}

// hexWord reports whether eight bytes are hexadecimal digits: each is an ASCII
// byte, and either '0' to '9' or, with the bit of lower case, 'a' to 'f'.
func hexWord(x uint64) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	lower := x | 0x20*ones
	digit := (x + (0x80-'0')*ones) & ^(x + (0x7f-'9')*ones)
	letter := (lower + (0x80-'a')*ones) & ^(lower + (0x7f-'f')*ones)
	return x&high == 0 && (digit|letter)&high == high
}

// duration returns a Duration; what is negative or too long is 0 or the longest.
func (s seconds) duration() time.Duration {
	switch {
	case s.sec < 0 || s.sec == 0 && s.nanos <= 0:
		return 0
	case s.sec > math.MaxInt64/int64(time.Second)-1:
		return math.MaxInt64
	}
	return max(0, time.Duration(s.sec)*time.Second+time.Duration(s.nanos))
}

// time returns a Timestamp as the time since 1970.
func (s seconds) time() time.Duration { return s.duration() }
