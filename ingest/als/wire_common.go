package als

import (
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

// common reads an AccessLogCommon.
func (r *record) common(b []byte) bool {
	ok := true
	for i := 0; ok && i < len(b); {
		tag, v, end := next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 2<<3 | wireBytes:
			ok = r.address(slotDownstreamRemote, b[v:end])
		case 4<<3 | wireBytes:
			ok = r.tls(b[v:end])
		case 5<<3 | wireBytes:
			ok = r.start.decode(b[v:end])
		case 12<<3 | wireBytes: // time_to_last_downstream_tx_byte
			r.hasLastByte = true
			ok = r.lastByte.decode(b[v:end])
		case 13<<3 | wireBytes:
			ok = r.address(slotUpstreamRemote, b[v:end])
		case 15<<3 | wireBytes:
			r.put(slotUpstreamCluster, b[v:end])
		case 16<<3 | wireBytes:
			ok = r.responseFlags(b[v:end])
		case 20<<3 | wireBytes:
			ok = r.address(slotDirectRemote, b[v:end])
		case 21<<3 | wireBytes:
			ok = r.filterState(b[v:end])
		case 22<<3 | wireBytes:
			var key, value []byte
			key, value, ok = mapEntry(b[v:end])
			r.tag(lend(key), value)
		case 23<<3 | wireBytes:
			r.hasDuration = true
			ok = r.duration.decode(b[v:end])
		case 26<<3 | wireBytes:
			r.put(slotStreamID, b[v:end])
		case 27<<3 | wireVarint:
			r.intermediate = v != 0
		case 29<<3 | wireVarint:
			r.wireSent = v
		case 30<<3 | wireVarint:
			r.wireReceived = v
		case 33<<3 | wireVarint:
			r.logType = int32(v)
		}
		i = end
	}
	return ok
}

// decode merges a Timestamp or Duration into s.
func (s *seconds) decode(b []byte) bool {
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

// tls reads a TLSProperties.
func (r *record) tls(b []byte) bool {
	ok := true
	for i := 0; ok && i < len(b); {
		tag, v, end := next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 4<<3 | wireBytes: // local_certificate_properties
			ok = r.certificate(slotLocalSAN, b[v:end])
		case 5<<3 | wireBytes: // peer_certificate_properties
			ok = r.certificate(slotPeerSAN, b[v:end])
		}
		i = end
	}
	return ok
}

// certificate reads the first URI among the subject_alt_name of a
// CertificateProperties.
func (r *record) certificate(to slot, b []byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := next(b, i)
		if end < 0 {
			return false
		}
		if tag == 1<<3|wireBytes {
			uri, ok := subjectAltName(b[v:end])
			if !ok {
				return false
			}
			if !r.set.has(to) {
				r.put(to, uri)
			}
		}
		i = end
	}
	return true
}

func subjectAltName(b []byte) (uri []byte, ok bool) {
	for i := 0; i < len(b); {
		tag, v, end := next(b, i)
		if end < 0 {
			return nil, false
		}
		switch tag {
		case 1<<3 | wireBytes:
			uri = b[v:end]
		case 2<<3 | wireBytes: // dns, the other case of the oneof
			uri = nil
		}
		i = end
	}
	return uri, true
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
