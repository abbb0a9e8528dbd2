package extauthz

import (
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
)

// next reads the field of message b that starts at i. b[v:end] is the content of
// a length-delimited field, v the value of a varint; other values end before
// end. end is where the next field starts, negative if the message is malformed.
func next(b []byte, i int) (tag, v uint64, end int) {
	if tag, i = varint(b, i); i < 0 || tag < 1<<3 || tag>>3 > uint64(protowire.MaxValidNumber) {
		return 0, 0, -1
	}
	if tag&7 != wireBytes && tag&7 != wireVarint {
		n := protowire.ConsumeFieldValue(protowire.Number(tag>>3), protowire.Type(tag&7), b[i:])
		if n < 0 {
			return 0, 0, -1
		}
		return tag, 0, i + n
	}
	if v, i = varint(b, i); i < 0 || tag&7 == wireVarint {
		return tag, v, i
	}
	if v > uint64(len(b)-i) {
		return 0, 0, -1
	}
	return tag, uint64(i), i + int(v)
}

// short is next for a length-delimited field whose tag and length take a byte
// each, as most do; for every other end is negative. It is small enough to be
// part of its callers' loops.
func short(b []byte, i int) (tag, v uint64, end int) {
	if i+1 < len(b) && b[i]&0x87 == wireBytes && b[i] > 7 && b[i+1] < 0x80 {
		if end = i + 2 + int(b[i+1]); end <= len(b) {
			return uint64(b[i]), uint64(i + 2), end
		}
	}
	return 0, 0, -1
}

// varint reads the varint at b[i:] and returns where it ends, negative if it is
// truncated or longer than 64 bits.
func varint(b []byte, i int) (v uint64, end int) {
	if i < len(b) && b[i] < 0x80 {
		return uint64(b[i]), i + 1
	}
	return longVarint(b, i)
}

func longVarint(b []byte, i int) (v uint64, end int) {
	if i >= len(b) {
		return 0, -1
	}
	v, n := protowire.ConsumeVarint(b[i:])
	if n < 0 {
		return 0, -1
	}
	return v, i + n
}

// lend returns b as a string that aliases it.
func lend(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// parts is a message that may come in several parts: what two messages merge to
// is what their bytes, one after the other, say.
type parts struct {
	b     []byte
	some  bool
	owned bool // b is not lent
}

func (p *parts) add(part []byte) {
	switch {
	case !p.some:
		p.b, p.some = part, true
	case p.owned:
		p.b = append(p.b, part...)
	default:
		p.b, p.owned = append(p.b[:len(p.b):len(p.b)], part...), true
	}
}

// mapEntry reads an entry of a map with string keys and messages for values.
// Both may alias b and are empty if missing.
func mapEntry(b []byte) (key, value []byte, ok bool) {
	var p parts
	for i := 0; i < len(b); {
		tag, v, end := next(b, i)
		if end < 0 {
			return nil, nil, false
		}
		switch tag {
		case 1<<3 | wireBytes:
			key = b[v:end]
		case 2<<3 | wireBytes:
			p.add(b[v:end])
		}
		i = end
	}
	return key, p.b, true
}
