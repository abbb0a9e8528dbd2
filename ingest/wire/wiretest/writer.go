package wiretest

import (
	"math"
	"math/rand/v2"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Writer writes random messages: fields in any order and number, submessages in
// several parts, wrong wire types, groups, unknown fields, overlong varints.
type Writer struct {
	*rand.Rand
	Strings []string // what strings and bytes are chosen from
	Depth   int      // of submessages
	Unknown int      // the least number of a field that is not in the message
	// Submessage writes the content of a submessage in its own way, if it says so;
	// nil content leaves the field out.
	Submessage func(w *Writer, md protoreflect.MessageDescriptor) (content []byte, own bool)
}

// New returns a Writer of the seed.
func New(seed uint64, strings []string, depth int) *Writer {
	return &Writer{Rand: rand.New(rand.NewPCG(seed, 1)), Strings: strings, Depth: depth, Unknown: 1}
}

// String returns one of Strings.
func (w *Writer) String() string { return w.Strings[w.IntN(len(w.Strings))] }

// Number returns a number of any size; the ends of the range are frequent.
func (w *Writer) Number() uint64 {
	switch w.IntN(6) {
	case 0:
		return 0
	case 1:
		return uint64(w.IntN(128))
	case 2:
		return uint64(w.IntN(1 << 21))
	case 3:
		return math.MaxUint64 - uint64(w.IntN(3))
	case 4:
		return uint64(w.Uint32())
	}
	return w.Uint64()
}

// Varint writes v, at times longer than it need be.
func (w *Writer) Varint(b []byte, v uint64) []byte {
	b = protowire.AppendVarint(b, v)
	if n := protowire.SizeVarint(v); w.IntN(12) == 0 && n < 8 {
		b[len(b)-1] |= 0x80
		for range w.IntN(2) {
			b = append(b, 0x80)
		}
		b = append(b, 0)
	}
	return b
}

// Tag writes a tag.
func (w *Writer) Tag(b []byte, num protowire.Number, typ protowire.Type) []byte {
	return w.Varint(b, protowire.EncodeTag(num, typ))
}

// Field writes a length-delimited field.
func (w *Writer) Field(b []byte, num protowire.Number, v []byte) []byte {
	b = w.Tag(b, num, protowire.BytesType)
	return append(w.Varint(b, uint64(len(v))), v...)
}

// Junk writes a field of any number with a value of any wire type.
func (w *Writer) Junk(b []byte, num protowire.Number, depth int) []byte {
	switch w.IntN(5) {
	case 0:
		return w.Varint(w.Tag(b, num, protowire.VarintType), w.Number())
	case 1:
		return protowire.AppendFixed32(w.Tag(b, num, protowire.Fixed32Type), w.Uint32())
	case 2:
		return protowire.AppendFixed64(w.Tag(b, num, protowire.Fixed64Type), w.Uint64())
	case 3:
		b = w.Tag(b, num, protowire.StartGroupType)
		for depth < 3 && w.IntN(2) == 0 {
			b = w.Junk(b, 1+protowire.Number(w.IntN(40)), depth+1)
		}
		return w.Tag(b, num, protowire.EndGroupType)
	}
	return w.Field(b, num, []byte(w.String()))
}

// Message writes fields of a message that lies at a depth.
func (w *Writer) Message(md protoreflect.MessageDescriptor, depth int) (b []byte) {
	fields := md.Fields()
	for range w.IntN(2 + fields.Len()) {
		if w.IntN(25) == 0 {
			b = w.Junk(b, protowire.Number(w.Unknown+w.IntN(1<<w.IntN(28))), 0)
			continue
		}
		fd := fields.Get(w.IntN(fields.Len()))
		if w.IntN(40) == 0 {
			b = w.wrong(b, fd)
			continue
		}
		b = w.field(b, fd, depth)
	}
	return b
}

// wrong writes a field with a wire type that it cannot have.
func (w *Writer) wrong(b []byte, fd protoreflect.FieldDescriptor) []byte {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		return w.Varint(w.Tag(b, fd.Number(), protowire.VarintType), w.Number())
	case protoreflect.StringKind, protoreflect.BytesKind:
		return protowire.AppendFixed64(w.Tag(b, fd.Number(), protowire.Fixed64Type), w.Uint64())
	case protoreflect.Fixed32Kind, protoreflect.FloatKind:
		return protowire.AppendFixed64(w.Tag(b, fd.Number(), protowire.Fixed64Type), w.Uint64())
	}
	return protowire.AppendFixed32(w.Tag(b, fd.Number(), protowire.Fixed32Type), w.Uint32())
}

func (w *Writer) field(b []byte, fd protoreflect.FieldDescriptor, depth int) []byte {
	num := fd.Number()
	switch fd.Kind() {
	case protoreflect.MessageKind:
		if w.Submessage != nil {
			if content, own := w.Submessage(w, fd.Message()); own {
				if content == nil {
					return b
				}
				return w.Field(b, num, content)
			}
		}
		if depth >= w.Depth {
			return b
		}
		return w.Field(b, num, w.Message(fd.Message(), depth+1))
	case protoreflect.StringKind, protoreflect.BytesKind:
		return w.Field(b, num, []byte(w.String()))
	case protoreflect.DoubleKind:
		f := math.Float64bits(w.NormFloat64() * math.Pow(10, float64(w.IntN(50)-25)))
		return protowire.AppendFixed64(w.Tag(b, num, protowire.Fixed64Type), f)
	case protoreflect.FloatKind, protoreflect.Fixed32Kind:
		return protowire.AppendFixed32(w.Tag(b, num, protowire.Fixed32Type), w.Uint32())
	}
	return w.Varint(w.Tag(b, num, protowire.VarintType), w.Number())
}
