package als

import (
	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// details is the mesh.Detailer of every batch: it reads an entry a second time.
// Of a repeated field or map key the last wins, as everywhere; messages that are
// repeated, which no encoder does, are not merged but read one after the other.
type details struct{}

// ReadDetail implements [mesh.Detailer].
func (details) ReadDetail(e *mesh.Entry, d *mesh.Detail) bool {
	*d = mesh.Detail{}
	for i := range d.Points {
		d.Points[i] = -1
	}
	if e.Wire == nil {
		return false
	}
	tcp := e.Protocol == mesh.ProtocolTCP
	return fields(e.Wire, func(tag, v uint64, b []byte) bool {
		switch tag {
		case 1<<3 | wire.Bytes:
			return detailCommon(b, d)
		case 2<<3 | wire.Varint:
			if !tcp && v < uint64(len(httpVersions)) {
				d.HTTPVersion = httpVersions[v]
			}
		case 3<<3 | wire.Bytes:
			return tcp || detailRequest(b, d)
		case 4<<3 | wire.Bytes:
			return tcp || fields(b, func(tag, _ uint64, b []byte) bool {
				if tag == 6<<3|wire.Bytes {
					d.CodeDetails = wire.Lend(b)
				}
				return true
			})
		}
		return true
	})
}

// fields calls f for every field of a message: v is the value of a varint, b the
// content of a length-delimited field. It reports false if the message is
// malformed or f says so.
func fields(b []byte, f func(tag, v uint64, b []byte) bool) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		var content []byte
		if tag&7 == wire.Bytes {
			content = b[v:end]
		}
		if !f(tag, v, content) {
			return false
		}
		i = end
	}
	return true
}

// httpVersions are the values of HTTPAccessLogEntry.HTTPVersion.
var httpVersions = [...]string{"", "1.0", "1.1", "2", "3"}

// tlsVersions are the values of TLSProperties.TLSVersion.
var tlsVersions = [...]string{"", "1.0", "1.1", "1.2", "1.3"}

func detailCommon(b []byte, d *mesh.Detail) bool {
	return fields(b, func(tag, v uint64, b []byte) bool {
		if tag == 24<<3|wire.Varint {
			d.Attempts = uint32(v)
		}
		if tag&7 != wire.Bytes {
			return true
		}
		switch field := tag >> 3; field {
		case 2:
			return detailAddress(b, &d.Client)
		case 3:
			return detailAddress(b, &d.Local)
		case 4:
			return fields(b, func(tag, v uint64, _ []byte) bool {
				if tag == 1<<3|wire.Varint && v < uint64(len(tlsVersions)) {
					d.TLSVersion = tlsVersions[v]
				}
				return true
			})
		case 6, 7, 8, 9, 10, 11, 12:
			var s seconds
			ok := s.decode(b)
			d.Points[mesh.Point(field-6)] = s.duration()
			return ok
		case 13:
			return detailAddress(b, &d.Server)
		case 15:
			d.UpstreamCluster = wire.Lend(b)
		case 17:
			return detailMetadata(b, d)
		case 18:
			d.UpstreamFailure = wire.Lend(b)
		case 19:
			d.Route = wire.Lend(b)
		case 20:
			return detailAddress(b, &d.Peer)
		case 26:
			d.RequestID = wire.Lend(b)
		}
		return true
	})
}

// detailAddress reads an Address.
func detailAddress(b []byte, a *mesh.Addr) bool {
	*a = mesh.Addr{}
	return fields(b, func(tag, _ uint64, b []byte) bool {
		switch tag {
		case 1<<3 | wire.Bytes: // socket_address
			return fields(b, func(tag, v uint64, b []byte) bool {
				switch tag {
				case 2<<3 | wire.Bytes:
					a.Host = wire.Lend(b)
				case 3<<3 | wire.Varint:
					a.Port = uint32(v)
				}
				return true
			})
		case 2<<3 | wire.Bytes: // pipe
			return fields(b, func(tag, _ uint64, b []byte) bool {
				if tag == 1<<3|wire.Bytes {
					a.Host = wire.Lend(b)
				}
				return true
			})
		}
		return true
	})
}

// detailMetadata reads what ext_authz left in a Metadata.
func detailMetadata(b []byte, d *mesh.Detail) bool {
	return fields(b, func(tag, _ uint64, b []byte) bool {
		if tag != 1<<3|wire.Bytes { // filter_metadata
			return true
		}
		name, content, ok := mapEntry(b)
		if !ok {
			return false
		}
		if n := wire.Lend(name); n != "envoy.filters.http.ext_authz" && n != "envoy.filters.network.ext_authz" {
			return true
		}
		for key, value := range structFields(content, &ok) {
			switch key {
			case "decision_id":
				d.DecisionID = stringValue(value)
			case "policy_rule":
				d.PolicyRule = stringValue(value)
			}
		}
		return ok
	})
}

func detailRequest(b []byte, d *mesh.Detail) bool {
	return fields(b, func(tag, _ uint64, b []byte) bool {
		switch tag {
		case 2<<3 | wire.Bytes:
			d.Scheme = wire.Lend(b)
		case 3<<3 | wire.Bytes:
			d.Authority = wire.Lend(b)
		case 5<<3 | wire.Bytes:
			d.Path = wire.Lend(b)
		case 6<<3 | wire.Bytes:
			d.UserAgent = wire.Lend(b)
		case 9<<3 | wire.Bytes:
			if len(b) > 0 {
				d.RequestID = wire.Lend(b)
			}
		case 13<<3 | wire.Bytes:
			key, value, ok := mapEntry(b)
			if to := detailHeader(wire.Lend(key), d); to != nil {
				*to = wire.Lend(value)
			}
			return ok
		}
		return true
	})
}

// detailHeader returns where a header goes, nil if it is of no use.
func detailHeader(name string, d *mesh.Detail) *string {
	switch name {
	case "traceparent":
		return &d.Traceparent
	case "tracestate":
		return &d.Tracestate
	case "b3":
		return &d.B3
	case "x-b3-traceid":
		return &d.B3TraceID
	case "x-b3-spanid":
		return &d.B3SpanID
	case "x-b3-parentspanid":
		return &d.B3ParentID
	case "x-b3-sampled":
		return &d.B3Sampled
	case "x-b3-flags":
		return &d.B3Flags
	case "uber-trace-id":
		return &d.Uber
	case "x-request-id":
		return &d.RequestID
	}
	return nil
}
