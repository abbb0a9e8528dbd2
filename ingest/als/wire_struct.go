package als

import (
	"iter"

	"github.com/tallygate/tallygate/ingest/wire"
)

// structFields yields the fields of a serialised google.protobuf.Struct: the key
// and the serialised Value. It stops at malformed bytes, after ok was set to
// false.
func structFields(b []byte, ok *bool) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for i := 0; i < len(b); {
			tag, v, end := wire.Next(b, i)
			if end < 0 {
				*ok = false
				return
			}
			if tag == 1<<3|wire.Bytes {
				key, value, sound := mapEntry(b[v:end])
				if !sound {
					*ok = false
					return
				}
				if !yield(wire.Lend(key), value) {
					return
				}
			}
			i = end
		}
	}
}

// stringValue returns the string of a serialised google.protobuf.Value, empty if
// it is of another kind.
func stringValue(b []byte) string {
	if len(b) >= 2 && b[0] == 3<<3|wire.Bytes && int(b[1]) == len(b)-2 && b[1] < 0x80 {
		return wire.Lend(b[2:])
	}
	return wire.Lend(valueOf(nil, b, 3))
}

// structValue returns the serialised Struct of a serialised Value, empty if it
// is of another kind.
func structValue(b []byte) []byte { return valueOf(nil, b, 5) }

// valueOf returns what is of that kind once b is merged into a Value of which
// content is.
func valueOf(content, b []byte, kind uint64) []byte {
	for i := 0; i < len(b); {
		tag, v, end := wire.Next(b, i)
		if end < 0 {
			return nil
		}
		switch tag {
		case kind<<3 | wire.Bytes:
			content = b[v:end]
		case 1<<3 | wire.Varint, 2<<3 | wire.Fixed64, 3<<3 | wire.Bytes, 4<<3 | wire.Varint, 5<<3 | wire.Bytes, 6<<3 | wire.Bytes:
			content = nil // another case of the oneof
		}
		i = end
	}
	return content
}
