package als

import (
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

// common reads an AccessLogCommon.
func (r *record) common(b []byte) bool {
	for i := 0; i < len(b); {
		tag, n, j, ok := short(b, i)
		v := uint64(n)
		switch {
		case ok && tag&7 == wireBytes:
			i = j + int(n)
			if i > len(b) {
				return false
			}
			v = uint64(j)
		case ok && tag&7 == wireVarint:
			i = j
		default:
			var long uint64
			if long, v, i = next(b, i); i < 0 {
				return false
			}
			tag = uint32(long)
		}
		if tag&7 == wireBytes {
			if !r.commonField(tag>>3, b[v:i]) {
				return false
			}
			continue
		}
		switch tag {
		case 27<<3 | wireVarint:
			r.intermediate = v != 0
		case 29<<3 | wireVarint:
			r.wireSent = v
		case 30<<3 | wireVarint:
			r.wireReceived = v
		case 33<<3 | wireVarint:
			r.logType = int32(v)
		}
		if tag < 1<<3 {
			return false
		}
	}
	return true
}

// commonField reads a length-delimited field of AccessLogCommon.
func (r *record) commonField(field uint32, b []byte) bool {
	switch field {
	case 0:
		return false
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
	case 20:
		return r.address(slotDirectRemote, b)
	case 21:
		return r.filterState(b)
	case 22:
		key, value, ok := mapEntry(b)
		r.tag(lend(key), value)
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
	// As Envoy writes a duration below a second.
	if len(b) == 4 && b[0] == 2<<3|wireVarint && b[1] >= 0x80 && b[2] >= 0x80 && b[3] < 0x80 {
		s.nanos = int32(b[1]&0x7f) | int32(b[2]&0x7f)<<7 | int32(b[3])<<14
		return true
	}
	for i := 0; i < len(b); {
		tag, v, end := next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wireVarint:
			s.sec = int64(v)
		case 2<<3 | wireVarint:
			s.nanos = int32(v)
		}
		i = end
	}
	return true
}

// address reads the IP address of an Address; other kinds of address clear it.
func (r *record) address(to slot, b []byte) bool {
	// As Envoy writes it: a socket_address of an address and a port_value.
	if n := len(b); n > 6 && n < 0x80 && b[0] == 1<<3|wireBytes && int(b[1]) == n-2 && b[2] == 2<<3|wireBytes {
		ip := 4 + int(b[3])
		if ip < n && b[ip] == 3<<3|wireVarint && ip+4 == n && b[ip+1] >= 0x80 && b[ip+2] >= 0x80 && b[ip+3] < 0x80 {
			if ip > 4 {
				r.put(to, b[4:ip])
			}
			return true
		}
	}
	for i := 0; i < len(b); {
		tag, v, end := next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wireBytes: // socket_address
			if !r.socketAddress(to, b[v:end]) {
				return false
			}
		case 2<<3 | wireBytes, 3<<3 | wireBytes: // pipe, envoy_internal_address
			r.put(to, nil)
		}
		i = end
	}
	return true
}

func (r *record) socketAddress(to slot, b []byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := next(b, i)
		if end < 0 {
			return false
		}
		if tag == 2<<3|wireBytes { // address
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
		tag, v, end := next(b, i)
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
			if tag&7 == wireBytes {
				r.flags |= bit
			}
		case tag&7 != wireVarint:
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
		tag, v, end := next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wireBytes:
			key = b[v:end]
		case 2<<3 | wireBytes:
			if !anyMessage(b[v:end], &typeURL, &value) {
				return false
			}
		}
		i = end
	}
	to, want := slot(numSlots), "google.protobuf.Struct"
	switch lend(key) {
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
	if !strings.HasSuffix(lend(typeURL), want) {
		value = nil // the last value of a key wins, also if it is of no use
	}
	r.put(to, value)
	return true
}

// anyMessage merges a google.protobuf.Any.
func anyMessage(b []byte, typeURL, value *[]byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wireBytes:
			*typeURL = b[v:end]
		case 2<<3 | wireBytes:
			*value = b[v:end]
		}
		i = end
	}
	return true
}

// tag keeps a custom tag if it is of use.
func (r *record) tag(key string, value []byte) {
	if to := tagSlot(key); to < numSlots {
		r.put(to, value)
	}
	for i, name := range r.tags {
		if name == key {
			r.custom[i] = lend(value)
		}
	}
}
