// Package wire reads and writes protobuf's wire format without generated code:
// the fields of a message one after the other, straight from the frame.
//
// A decoder has one loop over the fields of each message,
//
//	for i := 0; i < len(b); {
//		tag, v, end := wire.Next(b, i)
//		if end < 0 {
//			return false // malformed
//		}
//		switch tag {
//		case 1<<3 | wire.Bytes:
//			name = b[v:end]
//		case 2<<3 | wire.Varint:
//			count = v
//		}
//		i = end
//	}
//
// in which a case is a whole tag, number and wire type, so a field with the wrong
// wire type is an unknown field, as the generated code has it. What Next accepts
// and refuses is what the generated code accepts and refuses.
//
// Nothing here allocates, and what is read aliases the message.
package wire
