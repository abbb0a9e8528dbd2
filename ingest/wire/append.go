package wire

import "google.golang.org/protobuf/encoding/protowire"

// AppendHead appends the tag and length of a length-delimited field whose n bytes
// the caller appends.
func AppendHead(b []byte, num protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), uint64(n))
}

// AppendMessage appends a field with the serialised message m.
func AppendMessage(b []byte, num protowire.Number, m []byte) []byte {
	return append(AppendHead(b, num, len(m)), m...)
}

// AppendString appends a field with a string, also an empty one.
func AppendString(b []byte, num protowire.Number, s string) []byte {
	return append(AppendHead(b, num, len(s)), s...)
}

// AppendVarint appends a field with a varint, also 0.
func AppendVarint(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

// FieldSize is the size of a length-delimited field of n bytes whose number is
// below 16.
func FieldSize(n int) int { return 1 + protowire.SizeBytes(n) }
