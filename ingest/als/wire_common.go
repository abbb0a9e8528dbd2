package als

import (
	"encoding/binary"
	"strings"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// tagCustomTags is the tag of custom_tags as it lies on the wire, in two bytes.
const tagCustomTags = 22<<3&0x7f | wire.Bytes | 0x80 | 22<<3>>7<<8

// commonWanted are the length-delimited fields of AccessLogCommon that are read.
const commonWanted uint64 = 1<<2 | 1<<4 | 1<<5 | 1<<12 | 1<<13 | 1<<15 | 1<<16 | 1<<17 | 1<<20 | 1<<21 | 1<<22 | 1<<23 | 1<<26

// common reads an AccessLogCommon. Most of its fields have a tag of one or two
// bytes and a length or value of one: these are read from one word, and what is
// not wanted is passed over in a few instructions.
func (r *record) common(b []byte) bool {
	full := b[:cap(b)]
	for i := 0; i < len(b); {
		if i+8 <= len(full) {
			x := binary.LittleEndian.Uint64(full[i:])
			field, n, j := uint64(0), 0, 0
			switch {
			case x&0x8087 == wire.Bytes:
				field, n, j = x>>3&0xf, int(x>>8&0x7f), i+2
			case x&0x808087 == 0x80|wire.Bytes:
				if x&0xffff == tagCustomTags && len(r.tags) == 0 {
					if key, end, ok := plainEntry(full, x>>16, i+3); ok && end <= len(b) {
						r.put(tagSlot(full[i+5:key]), full[key+2:end])
						i = end
						continue
					}
				}
				field, n, j = x>>3&0xf|x>>4&0x7f0, int(x>>16&0x7f), i+3
			}
			if j > 0 && field > 0 {
				i = j + n
				if i > len(b) || commonWanted>>field&1 != 0 && !r.commonField(field, b[j:i]) {
					return false
				}
				continue
			}
		}
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		i = end
		switch tag {
		case 27<<3 | wire.Varint:
			r.intermediate = v != 0
		case 29<<3 | wire.Varint:
			r.wireSent = v
		case 30<<3 | wire.Varint:
			r.wireReceived = v
		case 33<<3 | wire.Varint:
			r.logType = int32(v)
		default:
			if tag&7 == wire.Bytes && !r.commonField(tag>>3, b[v:end]) {
				return false
			}
		}
	}
	return true
}

// commonField reads a length-delimited field of AccessLogCommon.
func (r *record) commonField(field uint64, b []byte) bool {
	switch field {
	case 2:
		return r.address(slotDownstreamRemote, b)
	case 4:
		return r.tls(b)
	case 5:
		return r.start.decode(b)
	case 12: // time_to_last_downstream_tx_byte
		r.hasLastByte = true
		return r.lastByte.decode(b)
	case 13:
		return r.address(slotUpstreamRemote, b)
	case 15:
		r.put(slotUpstreamCluster, b)
	case 16:
		return r.responseFlags(b)
	case 17:
		return len(r.meta) == 0 || r.metadata(b)
	case 20:
		return r.address(slotDirectRemote, b)
	case 21:
		return r.filterState(b)
	case 22:
		key, value, ok := mapEntry(b)
		r.tag(key, value)
		return ok
	case 23:
		r.hasDuration = true
		return r.duration.decode(b)
	case 26:
		r.put(slotStreamID, b)
	}
	return true
}

// decode merges a Timestamp or Duration into s.
func (s *seconds) decode(b []byte) bool {
	// As every encoder writes it: seconds and nanos, either of them if not 0.
	i := 0
	if len(b) > 1 && b[0] == 1<<3|wire.Varint {
		v, end := wire.ReadVarint(b, 1)
		if end < 0 {
			return false
		}
		s.sec, i = int64(v), end
	}
	if len(b)-i > 1 && b[i] == 2<<3|wire.Varint {
		v, end := wire.ReadVarint(b, i+1)
		if end < 0 {
			return false
		}
		s.nanos, i = int32(v), end
	}
	for i < len(b) {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wire.Varint:
			s.sec = int64(v)
		case 2<<3 | wire.Varint:
			s.nanos = int32(v)
		}
		i = end
	}
	return true
}

// address reads the IP address of an Address; other kinds of address clear it.
func (r *record) address(to slot, b []byte) bool {
	// As Envoy writes it: a socket_address of an address and a port_value.
	if n := len(b); n > 6 && n < 0x80 && b[0] == 1<<3|wire.Bytes && int(b[1]) == n-2 && b[2] == 2<<3|wire.Bytes {
		ip := 4 + int(b[3])
		if port := n - ip - 1; ip < n && b[ip] == 3<<3|wire.Varint && b[n-1] < 0x80 &&
			(port == 3 && b[n-2]&b[n-3] >= 0x80 || port == 2 && b[n-2] >= 0x80 || port == 1) {
			r.put(to, b[4:ip])
			return true
		}
	}
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wire.Bytes: // socket_address
			if !r.socketAddress(to, b[v:end]) {
				return false
			}
		case 2<<3 | wire.Bytes, 3<<3 | wire.Bytes: // pipe, envoy_internal_address
			r.put(to, nil)
		}
		i = end
	}
	return true
}

func (r *record) socketAddress(to slot, b []byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		if tag == 2<<3|wire.Bytes { // address
			r.put(to, b[v:end])
		}
		i = end
	}
	return true
}

// responseFlags reads a ResponseFlags: fields 1 to 28 are booleans but for 13,
// unauthorized_details, whose presence is the flag.
func (r *record) responseFlags(b []byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		i = end
		field := tag >> 3
		if field > 28 {
			continue
		}
		bit := mesh.Flags(1) << (field - 1)
		switch {
		case field == 13:
			if tag&7 == wire.Bytes {
				r.flags |= bit
			}
		case tag&7 != wire.Varint:
		case v != 0:
			r.flags |= bit
		default:
			r.flags &^= bit
		}
	}
	return true
}

// filterState reads one entry of filter_state_objects.
func (r *record) filterState(b []byte) bool {
	var key, typeURL, value []byte
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wire.Bytes:
			key = b[v:end]
		case 2<<3 | wire.Bytes:
			if !anyMessage(b[v:end], &typeURL, &value) {
				return false
			}
		}
		i = end
	}
	to, want := slot(numSlots), "google.protobuf.Struct"
	switch wire.Lend(key) {
	case "downstream_peer":
		to = slotDownstreamPeer
	case "upstream_peer":
		to = slotUpstreamPeer
	case "wasm.downstream_peer":
		to = slotWasmDownstreamPeer
	case "wasm.upstream_peer":
		to = slotWasmUpstreamPeer
	case "envoy.filters.http.grpc_stats":
		to, want = slotGRPCStats, "envoy.extensions.filters.http.grpc_stats.v3.FilterObject"
	default:
		return true
	}
	if !strings.HasSuffix(wire.Lend(typeURL), want) {
		value = nil // the last value of a key wins, also if it is of no use
	}
	r.put(to, value)
	return true
}

// anyMessage merges a google.protobuf.Any.
func anyMessage(b []byte, typeURL, value *[]byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wire.Bytes:
			*typeURL = b[v:end]
		case 2<<3 | wire.Bytes:
			*value = b[v:end]
		}
		i = end
	}
	return true
}

// tag keeps a custom tag if it is of use.
func (r *record) tag(key, value []byte) {
	r.put(tagSlot(key), value)
	for i := range r.tags {
		if t := &r.tags[i]; t.name == wire.Lend(key) {
			r.custom[t.label] = wire.Lend(value)
		}
	}
}
