package als

import (
	"encoding/binary"

	"github.com/tallygate/tallygate/ingest/wire"
)

// decode reads one serialised HTTPAccessLogEntry or TCPAccessLogEntry. It
// reports false if the entry is malformed.
func (r *record) decode(b []byte, tcp bool) bool {
	r.reset(tcp)
	if tcp {
		return r.tcpEntry(b)
	}
	return r.httpEntry(b)
}

func (r *record) httpEntry(b []byte) bool {
	ok := true
	for i := 0; ok && i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wire.Bytes: // common_properties
			ok = r.common(b[v:end])
		case 3<<3 | wire.Bytes: // request
			ok = r.request(b[v:end])
		case 4<<3 | wire.Bytes: // response
			ok = r.response(b[v:end])
		}
		i = end
	}
	return ok
}

func (r *record) tcpEntry(b []byte) bool {
	ok := true
	for i := 0; ok && i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wire.Bytes: // common_properties
			ok = r.common(b[v:end])
		case 2<<3 | wire.Bytes: // connection_properties
			ok = r.connection(b[v:end])
		}
		i = end
	}
	return ok
}

func (r *record) connection(b []byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wire.Varint:
			r.connReceived = v
		case 2<<3 | wire.Varint:
			r.connSent = v
		}
		i = end
	}
	return true
}

// request reads an HTTPRequestProperties.
func (r *record) request(b []byte) bool {
	full := b[:cap(b)]
	for i := 0; i < len(b); {
		if i+8 <= len(full) {
			x := binary.LittleEndian.Uint64(full[i:])
			if x&0xff == 13<<3|wire.Bytes { // request_headers
				if key, end, ok := plainEntry(full, x>>8, i+2); ok && end <= len(b) {
					r.put(headerSlot(full[i+4:key]), full[key+2:end])
					i = end
					continue
				}
			}
		}
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wire.Varint:
			r.method = int32(v)
		case 3<<3 | wire.Bytes:
			r.put(slotAuthority, b[v:end])
		case 11<<3 | wire.Varint:
			r.requestHead = v
		case 12<<3 | wire.Varint:
			r.requestBody = v
		case 13<<3 | wire.Bytes:
			key, value, ok := mapEntry(b[v:end])
			if !ok {
				return false
			}
			r.put(headerSlot(key), value)
		}
		i = end
	}
	return true
}

// response reads an HTTPResponseProperties.
func (r *record) response(b []byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wire.Bytes:
			if !uint32Value(b[v:end], &r.code) {
				return false
			}
		case 2<<3 | wire.Varint:
			r.responseHead = v
		case 3<<3 | wire.Varint:
			r.responseBody = v
		case 4<<3 | wire.Bytes, 5<<3 | wire.Bytes:
			key, value, ok := mapEntry(b[v:end])
			if !ok {
				return false
			}
			if len(key) == len("grpc-status") && wire.Lend(key) == "grpc-status" {
				if tag>>3 == 4 {
					r.put(slotHeaderStatus, value)
				} else {
					r.put(slotTrailerStatus, value)
				}
			}
		}
		i = end
	}
	return true
}

// uint32Value reads a google.protobuf.UInt32Value.
func uint32Value(b []byte, x *uint32) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		if tag == 1<<3|wire.Varint {
			*x = uint32(v)
		}
		i = end
	}
	return true
}
