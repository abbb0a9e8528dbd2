package extauthz

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
)

// view is where the fields of a message lie. Fields that come again overwrite,
// messages that come again merge, as the wire format has it.
type view struct {
	b       []byte
	present uint64 // by slot
	slots   [maxSlots]slot
	entries []entry  // of all maps, in the order of the wire
	merged  []merged // of messages that are read only when asked for
}

// slot is where the value of a field lies in the message, or the value of a
// varint, low half first.
type slot struct{ start, end uint32 }

// entry is an entry of a map.
type entry struct {
	slot            uint8
	at              uint32
	key, keyEnd     uint32
	value, valueEnd uint32
}

// merged is a message that came in several parts.
type merged struct {
	slot uint8
	b    []byte
}

// reset makes v a view of b. It returns false if b is malformed or has text that
// is not UTF-8.
func (v *view) reset(s *schema, b []byte) bool {
	v.b, v.present = b, 1<<s.root.slot
	v.entries, v.merged = v.entries[:0], v.merged[:0]
	return uint64(len(b)) < 1<<32 && v.index(s.root, 0, len(b))
}

// index notes where the fields of the message at b[from:to] lie.
func (v *view) index(n *node, from, to int) bool {
	b := v.b[:to]
	for i := from; i < to; {
		tag, at, end := wire.Short(b, i)
		if end < 0 {
			if tag, at, end = wire.Next(b, i); end < 0 {
				return false
			}
		}
		i = end
		if tag>>3 >= uint64(len(n.byNum)) {
			continue
		}
		f := n.byNum[tag>>3]
		if f == nil || tag&7 != f.wire {
			continue
		}
		again := v.present>>f.slot&1 != 0
		v.present = v.present&^f.clears | 1<<f.slot
		switch f.kind {
		case kindMessage:
			if !v.index(f, int(at), end) {
				return false
			}
		case kindStrings:
			if !v.addEntry(f.slot, int(at), end) {
				return false
			}
		case kindInt64, kindUint32, kindBool, kindEnum:
			v.slots[f.slot] = slot{uint32(at), uint32(at >> 32)}
		case kindAddress, kindTimestamp, kindMetadata, kindHeaderMap:
			if again {
				v.merge(f.slot, b[at:end])
				continue
			}
			v.slots[f.slot] = slot{uint32(at), uint32(end)}
		default:
			if f.kind == kindString && !utf8.Valid(b[at:end]) {
				return false
			}
			v.slots[f.slot] = slot{uint32(at), uint32(end)}
		}
	}
	return true
}

// addEntry notes the entry of a map at v.b[from:to].
func (v *view) addEntry(of uint8, from, to int) bool {
	e := entry{slot: of, at: uint32(from)}
	b := v.b[:to]
	// As every encoder writes it: the key, the value, nothing else.
	if i := from; to-i > 3 && b[i] == 1<<3|wire.Bytes && b[i+1] < 0x80 {
		if j := i + 2 + int(b[i+1]); j+1 < to && b[j] == 2<<3|wire.Bytes && b[j+1] < 0x80 && j+2+int(b[j+1]) == to {
			e.key, e.keyEnd, e.value, e.valueEnd = uint32(i+2), uint32(j), uint32(j+2), uint32(to)
			v.entries = append(v.entries, e)
			// What lies around key and value is ASCII.
			return utf8.Valid(b[i:])
		}
	}
	for i := from; i < to; {
		tag, at, end := wire.Next(b, i)
		if end < 0 {
			return false
		}
		switch tag {
		case 1<<3 | wire.Bytes:
			e.key, e.keyEnd = uint32(at), uint32(end)
		case 2<<3 | wire.Bytes:
			e.value, e.valueEnd = uint32(at), uint32(end)
		}
		i = end
	}
	v.entries = append(v.entries, e)
	return utf8.Valid(b[e.key:e.keyEnd]) && utf8.Valid(b[e.value:e.valueEnd])
}

// merge joins a further part of a message to those before: the merger of two
// messages is what their bytes, one after the other, say.
func (v *view) merge(of uint8, part []byte) {
	for i := range v.merged {
		if m := &v.merged[i]; m.slot == of {
			m.b = append(m.b, part...)
			return
		}
	}
	s := v.slots[of]
	first := v.b[s.start:s.end:s.end]
	v.merged = append(v.merged, merged{of, append(first, part...)})
}

func (v *view) has(n *node) bool { return v.present>>n.slot&1 != 0 }

// bytes returns the content of a length-delimited field, nil if it is not there.
func (v *view) bytes(n *node) []byte {
	if !v.has(n) {
		return nil
	}
	for i := range v.merged {
		if v.merged[i].slot == n.slot {
			return v.merged[i].b
		}
	}
	s := v.slots[n.slot]
	return v.b[s.start:s.end]
}

func (v *view) text(n *node) string { return wire.Lend(v.bytes(n)) }

func (v *view) number(n *node) uint64 {
	s := v.slots[n.slot]
	return uint64(s.start) | uint64(s.end)<<32
}

// entry returns the value of a key of a map; the last one counts.
func (v *view) entry(n *node, key string) (string, bool) {
	if !v.has(n) {
		return "", false
	}
	for i := len(v.entries) - 1; i >= 0; i-- {
		e := &v.entries[i]
		if int(e.keyEnd-e.key) == len(key) && e.slot == n.slot && wire.Lend(v.b[e.key:e.keyEnd]) == key {
			return wire.Lend(v.b[e.value:e.valueEnd]), true
		}
	}
	return "", false
}

// stringMap returns a map as an object.
func (v *view) stringMap(n *node) mesh.Value {
	entries := make([]entry, 0, len(v.entries))
	for _, e := range v.entries {
		if e.slot == n.slot {
			entries = append(entries, e)
		}
	}
	key := func(e *entry) string { return wire.Lend(v.b[e.key:e.keyEnd]) }
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(strings.Compare(key(&a), key(&b)), cmp.Compare(a.at, b.at))
	})
	fields := make([]mesh.Field, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		if i+1 == len(entries) || key(&entries[i+1]) != key(e) {
			fields = append(fields, mesh.Field{Name: key(e), Value: text(wire.Lend(v.b[e.value:e.valueEnd]))})
		}
	}
	return mesh.Value{Kind: mesh.KindObject, Fields: fields}
}

// scalar returns the value of a field that is neither message nor map. A zero
// that the wire does not tell from nothing is not there.
func (v *view) scalar(n *node) (val mesh.Value, ok bool) {
	if !v.has(n) {
		return mesh.Value{}, false
	}
	switch n.kind {
	case kindString:
		s := v.text(n)
		return text(s), s != "" || n.explicit
	case kindBytes:
		b := v.bytes(n)
		return text(base64.StdEncoding.EncodeToString(b)), len(b) > 0
	case kindInt64:
		i := int64(v.number(n))
		return text(strconv.FormatInt(i, 10)), i != 0
	case kindUint32:
		u := uint32(v.number(n))
		return number(strconv.FormatUint(uint64(u), 10)), u != 0 || n.explicit
	case kindBool:
		return mesh.Value{Kind: mesh.KindBool, Bool: true}, v.number(n) != 0
	default: // kindEnum
		e := int32(v.number(n))
		if e >= 0 && int(e) < len(n.enum) {
			return text(n.enum[e]), e != 0
		}
		return number(strconv.FormatInt(int64(e), 10)), true
	}
}

func text(s string) mesh.Value   { return mesh.Value{Kind: mesh.KindString, Text: s} }
func number(s string) mesh.Value { return mesh.Value{Kind: mesh.KindNumber, Text: s} }
