package policy

import (
	"encoding/binary"

	"github.com/tallygate/tallygate/mesh"
)

// Marks of a value in a key. Every encoding of a value is prefix-free, so that
// a sequence of them is read in one way only.
const (
	markAbsent byte = iota
	markNull
	markFalse
	markTrue
	markNumber
	markString
	markArray
	markObject
)

// appendKeyHead begins the key of every decision of one entrypoint of one
// generation for one kind of listener.
func appendKeyHead(b []byte, generation uint64, l mesh.Listener, entrypoint string) []byte {
	b = binary.BigEndian.AppendUint64(b, generation)
	b = append(b, byte(l))
	return appendText(b, entrypoint)
}

// appendKey adds what r has at each path of s. It reports false as soon as the
// key is longer than limit.
func appendKey(b []byte, s *Shape, r mesh.Request, limit int) ([]byte, bool) {
	for _, p := range s.Kinds {
		k, ok := mesh.Probe(r, p)
		if !ok {
			b = append(b, markAbsent)
			continue
		}
		b = append(b, byte(k)+1)
	}
	for _, p := range s.Paths {
		v, ok := r.Lookup(p)
		if !ok {
			b = append(b, markAbsent)
			continue
		}
		// Before it is copied: a body may be of any size.
		if len(b)+len(v.Text) > limit {
			return b, false
		}
		b = appendValue(b, &v, limit)
		if len(b) > limit {
			return b, false
		}
	}
	return b, true
}

// appendValue stops early beyond limit; what it then returns is no key.
func appendValue(b []byte, v *mesh.Value, limit int) []byte {
	switch v.Kind {
	case mesh.KindNull:
		return append(b, markNull)
	case mesh.KindBool:
		if v.Bool {
			return append(b, markTrue)
		}
		return append(b, markFalse)
	case mesh.KindNumber:
		// By spelling: 1 and 1.0 are two keys, which costs a miss at worst.
		return appendText(append(b, markNumber), v.Text)
	case mesh.KindString:
		return appendText(append(b, markString), v.Text)
	case mesh.KindArray:
		b = binary.AppendUvarint(append(b, markArray), uint64(len(v.Elems)))
		for i := range v.Elems {
			if len(b) > limit {
				return b
			}
			b = appendValue(b, &v.Elems[i], limit)
		}
		return b
	default:
		b = binary.AppendUvarint(append(b, markObject), uint64(len(v.Fields)))
		for i := range v.Fields {
			if len(b) > limit {
				return b
			}
			b = appendText(b, v.Fields[i].Name)
			b = appendValue(b, &v.Fields[i].Value, limit)
		}
		return b
	}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
