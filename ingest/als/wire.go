package als

import (
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// The decoder reads envoy.service.accesslog.v3.StreamAccessLogsMessage straight
// from the frame. It gives the result that the generated code gives for every
// message that the generated code accepts; it also accepts invalid UTF-8 and
// damage inside submessages of which nothing is needed.
//
// Each message has one loop over its fields. A case is a whole tag, number and
// wire type, so a field with the wrong wire type is an unknown field.

const (
	wireVarint = 0
	wireBytes  = 2
)

// next reads the field of message b that starts at i. b[v:end] is the content of
// a length-delimited field, v the value of a varint; other fields are skipped.
// end is where the next field starts, negative if the message is malformed.
func next(b []byte, i int) (tag, v uint64, end int) {
	tag = uint64(b[i])
	i++
	if tag >= 0x80 {
		if i < len(b) && b[i] < 0x80 {
			tag = tag&0x7f | uint64(b[i])<<7
			i++
		} else if tag, i = varint(b, i-1); i < 0 {
			return 0, 0, -1
		}
	}
	if tag>>3 == 0 || tag>>3 > uint64(protowire.MaxValidNumber) {
		return 0, 0, -1
	}
	switch tag & 7 {
	case wireBytes:
		if i < len(b) && b[i] < 0x80 {
			v = uint64(b[i])
			i++
		} else if v, i = varint(b, i); i < 0 {
			return 0, 0, -1
		}
		if v > uint64(len(b)-i) {
			return 0, 0, -1
		}
		return tag, uint64(i), i + int(v)
	case wireVarint:
		if i < len(b) && b[i] < 0x80 {
			return tag, uint64(b[i]), i + 1
		}
		v, i = varint(b, i)
		return tag, v, i
	}
	return tag, 0, skip(tag, b, i)
}

// varint reads the varint at b[i:] and returns where it ends, negative if it is
// truncated or longer than 64 bits.
func varint(b []byte, i int) (v uint64, end int) {
	v, n := protowire.ConsumeVarint(b[i:])
	if n < 0 {
		return 0, -1
	}
	return v, i + n
}

// skip passes over the value of a field that is neither varint nor
// length-delimited.
func skip(tag uint64, b []byte, i int) (end int) {
	n := protowire.ConsumeFieldValue(protowire.Number(tag>>3), protowire.Type(tag&7), b[i:])
	if n < 0 {
		return -1
	}
	return i + n
}

// lend returns b as a string that aliases it.
func lend(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// bytesOf returns the bytes of s, which must not be written to.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// mapEntry reads an entry of a map with string keys and length-delimited values.
// Both alias b and are empty if missing.
func mapEntry(b []byte) (key, value []byte, ok bool) {
	// As every encoder writes it: the key, the value, nothing else.
	if len(b) > 2 && b[0] == 1<<3|wireBytes {
		i := int(b[1]) + 2
		if b[1] < 0x80 && i+1 < len(b) && b[i] == 2<<3|wireBytes {
			j := int(b[i+1]) + i + 2
			if b[i+1] < 0x80 && j == len(b) {
				return b[2:i], b[i+2:], true
			}
		}
	}
	for i := 0; i < len(b); {
		tag, v, end := next(b, i)
		if end < 0 {
			return nil, nil, false
		}
		switch tag {
		case 1<<3 | wireBytes:
			key = b[v:end]
		case 2<<3 | wireBytes:
			value = b[v:end]
		}
		i = end
	}
	return key, value, true
}
