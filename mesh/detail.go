package mesh

import "time"

// Detail is what an entry says beside its metrics: a span needs it, and most
// entries never become one. It is read from where it lies by a [Detailer]; its
// strings are lent as those of the Entry are, and are not known to be UTF-8.
type Detail struct {
	HTTPVersion string // "1.0", "1.1", "2", "3"; empty if unknown
	Scheme      string
	Authority   string
	Path        string // with the query
	UserAgent   string
	RequestID   string // x-request-id

	CodeDetails     string // why the response is what it is: "via_upstream", "ext_authz_denied"
	Route           string
	UpstreamCluster string
	UpstreamFailure string // why the connection to the upstream failed
	TLSVersion      string // of the downstream connection: "1.3"
	Attempts        uint32 // requests to upstreams; more than 1 with retries

	Client Addr // who sent the request, past trusted proxies
	Peer   Addr // the other end of the downstream connection
	Local  Addr // this end of the downstream connection
	Server Addr // the upstream; empty if none was reached

	Points [NumPoints]time.Duration // since the start; -1 if it did not come to that

	// Of the decision about the request, from the metadata of ext_authz.
	DecisionID, PolicyRule string

	// Headers of a trace as they were when the request was over: as the client
	// sent them, or rewritten by a proxy that traces.
	Traceparent, Tracestate                  string
	B3                                       string // the single header
	B3TraceID, B3SpanID, B3ParentID, B3Flags string
	B3Sampled                                string
	Uber                                     string // uber-trace-id
}

// Addr is an address as the proxy logged it.
type Addr struct {
	Host string // IP address, or path of a pipe
	Port uint32
}

// Point is a moment of a request.
type Point uint8

const (
	PointRequestReceived  Point = iota // last byte from the client
	PointUpstreamStart                 // first byte to the upstream
	PointUpstreamSent                  // last byte to the upstream
	PointUpstreamResponse              // first byte from the upstream
	PointUpstreamReceived              // last byte from the upstream
	PointResponseStart                 // first byte to the client
	PointResponseSent                  // last byte to the client

	NumPoints
)

// Detailer reads the Detail of entries of a Batch, while it is lent, and of copies
// of them that own their Wire at any time. It reports false if there is none. d is
// overwritten.
type Detailer interface {
	ReadDetail(e *Entry, d *Detail) bool
}
