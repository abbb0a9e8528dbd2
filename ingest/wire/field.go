package wire

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
)

// Wire types, the low three bits of a tag.
const (
	Varint  = 0
	Fixed64 = 1
	Bytes   = 2
)

// Next reads the field of message b that starts at i, which is below len(b).
// b[v:end] is the content of a length-delimited field, v the value of a varint;
// other fields are skipped. end is where the next field starts, negative if the
// message is malformed.
func Next(b []byte, i int) (tag, v uint64, end int) {
	tag = uint64(b[i])
	i++
	if tag >= 0x80 {
		if i < len(b) && b[i] < 0x80 {
			tag = tag&0x7f | uint64(b[i])<<7
			i++
		} else if tag, i = ReadVarint(b, i-1); i < 0 || tag>>3 > uint64(protowire.MaxValidNumber) {
			return 0, 0, -1
		}
	}
	if tag < 1<<3 || i >= len(b) { // no field has the number 0, and every field a value
		return 0, 0, -1
	}
	if tag&7 != Bytes && tag&7 != Varint {
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
			if v, i = ReadVarint(b, i-1); i < 0 {
				return 0, 0, -1
			}
		}
	}
	if tag&7 == Varint {
		return tag, v, i
	}
	if v > uint64(len(b)-i) {
		return 0, 0, -1
	}
	return tag, uint64(i), i + int(v)
}

// Short is Next for a length-delimited field whose tag and length take a byte
// each, as most do; for every other end is negative. It is small enough to be
// part of its callers' loops.
func Short(b []byte, i int) (tag, v uint64, end int) {
	if i+1 < len(b) && b[i]&0x87 == Bytes && b[i] > 7 && b[i+1] < 0x80 {
		if end = i + 2 + int(b[i+1]); end <= len(b) {
			return uint64(b[i]), uint64(i + 2), end
		}
	}
	return 0, 0, -1
}

// ReadVarint reads the varint at b[i:] and returns where it ends, negative if it
// is truncated or longer than 64 bits.
func ReadVarint(b []byte, i int) (v uint64, end int) {
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

// Lend returns b as a string that aliases it.
func Lend(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// BytesOf returns the bytes of s, which must not be written to.
func BytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
