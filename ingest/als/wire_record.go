package als

import (
	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// slot names one string of a record. The first slots are the custom tags that
// are named like a label, by label.
type slot uint8

const (
	slotLocalSAN         = slot(mesh.NumLabels) + iota // first URI SAN of our certificate
	slotPeerSAN                                        // first URI SAN of the peer's certificate
	slotDirectRemote                                   // IP address of the downstream connection's other end
	slotDownstreamRemote                               // the same as the headers claim it
	slotUpstreamRemote                                 // IP address of the upstream host
	slotUpstreamCluster
	slotAuthority
	slotDownstreamPeer     // filter state: serialised google.protobuf.Struct
	slotUpstreamPeer       // likewise
	slotWasmDownstreamPeer // likewise, before Istio 1.24
	slotWasmUpstreamPeer   // likewise
	slotGRPCStats          // filter state: serialised grpc_stats FilterObject
	slotTraceID            // custom tag
	slotSpanID             // custom tag
	slotTraceSampled       // custom tag
	slotStreamID
	slotTraceparent // request headers from here
	slotB3TraceID
	slotB3SpanID
	slotB3Sampled
	slotB3
	slotUber
	slotContentType
	slotHeaderStatus  // grpc-status among the response headers
	slotTrailerStatus // grpc-status among the response trailers

	numSlots
)

// slots is a set of slots.
type slots uint64

func (s slot) bit() slots { return 1 << s }

func (s slots) has(x slot) bool { return s&x.bit() != 0 }

// record is one access-log entry, flat and reused. Its strings alias the frame.
// A string that is empty in the entry is not there.
type record struct {
	set     slots                // the strings that are there; the others are stale
	strings [numSlots + 1]string // the last is for what has no slot
	custom  []string             // tags of the configured labels; empty if not there
	tags    []tagKey             // of the labels that are custom tags
	meta    []metadataKey        // of the labels that are dynamic metadata

	lastTLS tlsMemo

	scalars
}

type scalars struct {
	tcp          bool
	intermediate bool
	hasDuration  bool
	hasLastByte  bool
	logType      int32 // envoy.data.accesslog.v3.AccessLogType
	method       int32 // envoy.config.core.v3.RequestMethod
	code         uint32
	flags        mesh.Flags
	start        seconds
	duration     seconds
	lastByte     seconds // start to the last byte sent downstream

	wireSent, wireReceived     uint64
	requestHead, requestBody   uint64
	responseHead, responseBody uint64
	connSent, connReceived     uint64 // TCP, cumulative
}

// seconds is a google.protobuf.Timestamp or Duration.
type seconds struct {
	sec   int64
	nanos int32
}

func (r *record) reset(tcp bool) {
	r.set = 0
	clear(r.custom)
	r.scalars = scalars{tcp: tcp}
}

// begin forgets what aliases the frame before.
func (r *record) begin() { r.lastTLS = tlsMemo{} }

// get returns a string of the record, empty if it is not there.
func (r *record) get(s slot) string {
	if r.set.has(s) {
		return r.strings[s]
	}
	return ""
}

func (r *record) put(s slot, b []byte) {
	if len(b) == 0 {
		r.set &^= s.bit()
		return
	}
	r.strings[s] = wire.Lend(b)
	r.set |= s.bit()
}

// setLabels says what to keep in r.custom.
func (r *record) setLabels(s *labelSet) {
	r.tags, r.meta = s.tags, s.metadata
	r.custom = make([]string, s.n)
}
