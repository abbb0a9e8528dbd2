package als

import "github.com/tallygate/tallygate/ingest/wire"

// tlsMemo is the TLSProperties that was read last and what it came to: requests
// on one connection repeat it. Its strings alias the frame.
type tlsMemo struct {
	raw   string
	set   slots
	names [2]string // by slot, from slotLocalSAN
}

const sanSlots = slots(1)<<slotLocalSAN | 1<<slotPeerSAN

// tls reads a TLSProperties.
func (r *record) tls(b []byte) bool {
	if r.set&sanSlots != 0 {
		return r.readTLS(b) // it merges with the one before
	}
	if r.lastTLS.raw == wire.Lend(b) {
		copy(r.strings[slotLocalSAN:], r.lastTLS.names[:])
		r.set |= r.lastTLS.set
		return true
	}
	if !r.readTLS(b) {
		return false
	}
	r.lastTLS = tlsMemo{raw: wire.Lend(b), set: r.set & sanSlots}
	copy(r.lastTLS.names[:], r.strings[slotLocalSAN:slotPeerSAN+1])
	return true
}

func (r *record) readTLS(b []byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		ok := true
		switch tag {
		case 4<<3 | wire.Bytes: // local_certificate_properties
			ok = r.certificate(slotLocalSAN, b[v:end])
		case 5<<3 | wire.Bytes: // peer_certificate_properties
			ok = r.certificate(slotPeerSAN, b[v:end])
		}
		if !ok {
			return false
		}
		i = end
	}
	return true
}

// certificate reads the first URI among the subject_alt_name of a
// CertificateProperties.
func (r *record) certificate(to slot, b []byte) bool {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		if tag == 1<<3|wire.Bytes {
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
	if n := len(b); n >= 2 && n < 0x80 && b[0] == 1<<3|wire.Bytes && int(b[1]) == n-2 {
		return b[2:], true
	}
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return nil, false
		}
		switch tag {
		case 1<<3 | wire.Bytes:
			uri = b[v:end]
		case 2<<3 | wire.Bytes: // dns, the other case of the oneof
			uri = nil
		}
		i = end
	}
	return uri, true
}
