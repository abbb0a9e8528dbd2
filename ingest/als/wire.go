package als

import (
	"encoding/binary"
	"math/bits"
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
		} else if tag, i = varint(b, i-1); i < 0 || tag>>3 > uint64(protowire.MaxValidNumber) {
			return 0, 0, -1
		}
	}
	if tag < 1<<3 || i >= len(b) { // no field has the number 0, and every field a value
		return 0, 0, -1
	}
	if tag&7 != wireBytes && tag&7 != wireVarint {
		return tag, 0, skip(tag, b, i)
	}
	v = uint64(b[i])
	i++
	if v >= 0x80 {
		// Sizes of a field are alike: here the branches are foreseen.
		switch {
		case i < len(b) && b[i] < 0x80:
			v = v&0x7f | uint64(b[i])<<7
			i++
		case i+1 < len(b) && b[i+1] < 0x80:
			v = v&0x7f | uint64(b[i]&0x7f)<<7 | uint64(b[i+1])<<14
			i += 2
		default:
			if v, i = varint(b, i-1); i < 0 {
				return 0, 0, -1
			}
		}
	}
	if tag&7 == wireVarint {
		return tag, v, i
	}
	if v > uint64(len(b)-i) {
		return 0, 0, -1
	}
	return tag, uint64(i), i + int(v)
}

// varint reads the varint at b[i:] and returns where it ends, negative if it is
// truncated or longer than 64 bits.
func varint(b []byte, i int) (v uint64, end int) {
	// Eight bytes at once, also from beyond the end of b: lengths vary, and a
	// loop would be mispredicted.
	if full := b[:cap(b)]; i+8 <= len(full) {
		x := binary.LittleEndian.Uint64(full[i:])
		if stop := ^x & 0x8080808080808080; stop != 0 {
			end = i + bits.TrailingZeros64(stop)/8 + 1
			if end > len(b) {
				return 0, -1
			}
			x &= (stop ^ (stop - 1)) & 0x7f7f7f7f7f7f7f7f
			x = x&0x007f007f007f007f | x&0x7f007f007f007f00>>1
			x = x&0x00003fff00003fff | x&0x3fff00003fff0000>>2
			return x&0x000000000fffffff | x&0x0fffffff00000000>>4, end
		}
	}
	for shift := 0; i < len(b); shift += 7 {
		c := b[i]
		i++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if shift == 63 && c > 1 {
				return 0, -1
			}
			return v, i
		}
		if shift == 63 {
			return 0, -1
		}
	}
	return 0, -1
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

// plainEntry reads a map entry as every encoder writes it: a key and a value of
// less than 128 bytes, nothing else. x holds its length, the key's tag and the
// key's length in the low three bytes, the content begins at j of b. The key is
// b[j+2:key], the value b[key+2:end].
//
// As with short, b is a message up to its capacity, and the caller checks that
// the entry ends within its length.
func plainEntry(b []byte, x uint64, j int) (key, end int, ok bool) {
	key = j + 2 + int(x>>16&0x7f)
	end = j + int(x&0x7f)
	if x&0x80ff80 != (1<<3|wireBytes)<<8 || key+2 > end || end > len(b) {
		return 0, 0, false
	}
	return key, end, b[key] == 2<<3|wireBytes && int(b[key+1]) == end-key-2
}

// mapEntry reads an entry of a map with string keys and length-delimited values.
// Both alias b and are empty if missing.
func mapEntry(b []byte) (key, value []byte, ok bool) {
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
