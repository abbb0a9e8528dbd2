package mesh

import "time"

// Reporter says which side of a request wrote the entry.
type Reporter uint8

const (
	ReporterUnknown Reporter = iota
	ReporterSource
	ReporterDestination
	ReporterWaypoint
)

// String returns the value of the reporter label.
func (r Reporter) String() string {
	return [...]string{Unknown, "source", "destination", "waypoint"}[r]
}

// Protocol is the protocol of the request as the metrics name it.
type Protocol uint8

const (
	ProtocolHTTP Protocol = iota // every version
	ProtocolGRPC
	ProtocolTCP
)

// String returns the value of the request_protocol label.
func (p Protocol) String() string { return [...]string{"http", "grpc", "tcp"}[p] }

// Security is the connection's security policy as the reporter knows it.
type Security uint8

const (
	SecurityUnknown Security = iota // the source side does not know
	SecurityNone
	SecurityMutualTLS
)

// String returns the value of the connection_security_policy label.
func (s Security) String() string { return [...]string{Unknown, "none", "mutual_tls"}[s] }

// NoGRPCStatus is the GRPCStatus of an entry that is not gRPC or has no status.
const NoGRPCStatus int16 = -1

// Entry is one access-log entry, flat and reused. It describes a finished
// request (HTTP, gRPC) or what a TCP connection did since its last entry.
//
// Source, Destination, Service and Custom are canonical and may be kept. The
// strings are lent for the call in which the Entry is handed over.
type Entry struct {
	Source, Destination Peer
	Service             Service
	Custom              Custom

	Protocol Protocol
	Reporter Reporter
	Security Security

	// HTTP and gRPC.
	GRPCStatus       int16  // NoGRPCStatus if none
	Code             uint32 // HTTP status; 0 if there was no response
	Flags            Flags
	Duration         time.Duration // 0 if unknown
	RequestBytes     uint64        // headers and body as received from downstream
	ResponseBytes    uint64        // headers and body as sent to downstream
	RequestMessages  uint64        // gRPC messages from the client
	ResponseMessages uint64        // gRPC messages from the server
	HasMessages      bool          // the message counts were logged

	// TCP. Bytes are deltas. "Sent" is what the server side sent: Istio's name
	// looks backwards and stays so.
	SentBytes     uint64
	ReceivedBytes uint64
	Opened        bool
	Closed        bool

	Start        time.Time
	Method       string // "GET"; empty if unspecified
	TraceID      string // 32 or 16 hex digits as the proxy logged it; empty if none
	SpanID       string // 16 hex digits; empty if none
	TraceSampled bool   // the proxy sampled the trace
	Traced       bool   // the proxy has made a span of its own, which it exports if the trace is sampled
	RequestID    string // x-request-id; empty if none

	Wire []byte // the entry as it came, for the [Detailer] of its Batch; lent
}

// IsError reports whether the request failed by the rule of the RED metrics: an
// HTTP 5xx or no response at all, or a gRPC status that blames the server.
func (e *Entry) IsError() bool {
	if e.GRPCStatus > 0 {
		switch e.GRPCStatus {
		case 2, 4, 8, 12, 13, 14, 15: // UNKNOWN DEADLINE_EXCEEDED RESOURCE_EXHAUSTED UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS
			return true
		}
		return false
	}
	return e.Protocol != ProtocolTCP && (e.Code == 0 || e.Code >= 500)
}
