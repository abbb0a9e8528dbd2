package extauthz

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

var null = mesh.Value{Kind: mesh.KindNull}

// object returns an object of fields in any order; of equal names the last one
// counts.
func object(fields ...mesh.Field) mesh.Value {
	slices.SortStableFunc(fields, func(a, b mesh.Field) int { return strings.Compare(a.Name, b.Name) })
	kept := fields[:0]
	for i, f := range fields {
		if i+1 == len(fields) || fields[i+1].Name != f.Name {
			kept = append(kept, f)
		}
	}
	return mesh.Value{Kind: mesh.KindObject, Fields: kept}
}

func findField(fields []mesh.Field, name string) (int, bool) {
	return slices.BinarySearchFunc(fields, name, func(f mesh.Field, name string) int { return strings.Compare(f.Name, name) })
}

// maxDepth bounds how deep a google.protobuf.Value may nest; protobuf's own
// bound is 10,000 messages, three for each level.
const maxDepth = 3300

// item is an entry of a map of messages.
type item struct {
	name  string
	value []byte
}

// messageMap returns the entries of the map field num of message b, in ascending
// order of distinct names; of equal names the last one counts. If one is set
// only that entry is wanted.
func messageMap(b []byte, num uint64, one *string) ([]item, bool) {
	var items []item
	for i := 0; i < len(b); {
		tag, at, end := wire.Next(b, i)
		if end < 0 {
			return nil, false
		}
		i = end
		if tag != num<<3|wire.Bytes {
			continue
		}
		key, value, ok := mapEntry(b[at:end])
		if !ok || !utf8.Valid(key) {
			return nil, false
		}
		if one != nil {
			if wire.Lend(key) != *one {
				continue
			}
			items = items[:0]
		}
		items = append(items, item{wire.Lend(key), value})
	}
	slices.SortStableFunc(items, func(a, b item) int { return strings.Compare(a.name, b.name) })
	kept := items[:0]
	for i, it := range items {
		if i+1 == len(items) || items[i+1].name != it.name {
			kept = append(kept, it)
		}
	}
	return kept, true
}

// structValue reads a google.protobuf.Struct.
func structValue(b []byte, depth int) (mesh.Value, bool) {
	items, ok := messageMap(b, 1, nil)
	if !ok || depth == 0 {
		return null, false
	}
	v := mesh.Value{Kind: mesh.KindObject, Fields: make([]mesh.Field, len(items))}
	for i, it := range items {
		e, ok := jsonValue(it.value, depth-1)
		if !ok {
			return null, false
		}
		v.Fields[i] = mesh.Field{Name: it.name, Value: e}
	}
	return v, true
}

// jsonValue reads a google.protobuf.Value. It also has an answer where protojson
// has none: null for a value of no kind, text for a number that JSON has not.
func jsonValue(b []byte, depth int) (mesh.Value, bool) {
	var kind, num uint64
	var part parts
	for i := 0; i < len(b); {
		tag, at, end := wire.Next(b, i)
		if end < 0 {
			return null, false
		}
		switch tag {
		case 1<<3 | wire.Varint, 4<<3 | wire.Varint: // null_value, bool_value
			kind, num = tag, at
		case 2<<3 | wire.Fixed64: // number_value
			kind, num = tag, binary.LittleEndian.Uint64(b[end-8:])
		case 3<<3 | wire.Bytes: // string_value
			kind, part = tag, parts{b: b[at:end]}
			if !utf8.Valid(part.b) {
				return null, false
			}
		case 5<<3 | wire.Bytes, 6<<3 | wire.Bytes: // struct_value, list_value
			if kind != tag {
				kind, part = tag, parts{}
			}
			part.add(b[at:end])
		}
		i = end
	}
	switch kind {
	case 1<<3 | wire.Varint:
		return null, true
	case 2<<3 | wire.Fixed64:
		f := math.Float64frombits(num)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return text(strconv.FormatFloat(f, 'g', -1, 64)), true
		}
		return number(formatNumber(f)), true
	case 3<<3 | wire.Bytes:
		return text(wire.Lend(part.b)), true
	case 4<<3 | wire.Varint:
		return mesh.Value{Kind: mesh.KindBool, Bool: num != 0}, true
	case 5<<3 | wire.Bytes:
		return structValue(part.b, depth)
	case 6<<3 | wire.Bytes:
		return listValue(part.b, depth)
	}
	return null, true // of no kind
}

func listValue(b []byte, depth int) (mesh.Value, bool) {
	l := mesh.Value{Kind: mesh.KindArray}
	for i := 0; i < len(b); {
		tag, at, end := wire.Next(b, i)
		if end < 0 || depth == 0 {
			return null, false
		}
		i = end
		if tag != 1<<3|wire.Bytes {
			continue
		}
		v, ok := jsonValue(b[at:end], depth-1)
		if !ok {
			return null, false
		}
		l.Elems = append(l.Elems, v)
	}
	return l, true
}

// formatNumber spells a number as JSON encoders do.
func formatNumber(f float64) string {
	b, err := json.Marshal(f)
	if err != nil {
		return ""
	}
	return string(b)
}

// metadata returns the value at a path below an envoy.config.core.v3.Metadata.
func metadata(b []byte, p mesh.Path) (v mesh.Value, present, ok bool) {
	var fields []mesh.Field
	for _, part := range []struct {
		name string
		num  uint64
		read func([]byte) (mesh.Value, bool)
	}{
		{"filterMetadata", 1, func(b []byte) (mesh.Value, bool) { return structValue(b, maxDepth) }},
		{"typedFilterMetadata", 2, anyValue},
	} {
		if len(p) > 0 && p[0] != part.name {
			continue
		}
		var one *string
		if len(p) > 1 {
			one = &p[1]
		}
		items, ok := messageMap(b, part.num, one)
		if !ok {
			return null, false, false
		}
		if len(items) == 0 {
			continue
		}
		m := make([]mesh.Field, len(items))
		for i, it := range items {
			e, ok := part.read(it.value)
			if !ok {
				return null, false, false
			}
			m[i] = mesh.Field{Name: it.name, Value: e}
		}
		fields = append(fields, mesh.Field{Name: part.name, Value: mesh.Value{Kind: mesh.KindObject, Fields: m}})
	}
	v, present = navigate(mesh.Value{Kind: mesh.KindObject, Fields: fields}, p)
	return v, present, true
}

// anyValue reads a google.protobuf.Any. Of a type that is not known here the
// bytes are given, in base64.
func anyValue(b []byte) (mesh.Value, bool) {
	var url, content []byte
	for i := 0; i < len(b); {
		tag, at, end := wire.Next(b, i)
		if end < 0 {
			return null, false
		}
		switch tag {
		case 1<<3 | wire.Bytes:
			url = b[at:end]
		case 2<<3 | wire.Bytes:
			content = b[at:end]
		}
		i = end
	}
	if !utf8.Valid(url) {
		return null, false
	}
	a := &anypb.Any{TypeUrl: string(url), Value: content}
	if j, err := protojson.Marshal(a); err == nil {
		v, err := parseJSON(j)
		return v, err == nil
	}
	return object(
		mesh.Field{Name: "@type", Value: text(wire.Lend(url))},
		mesh.Field{Name: "value", Value: text(base64.StdEncoding.EncodeToString(content))},
	), true
}

// headerMap reads an envoy.config.core.v3.HeaderMap.
func headerMap(b []byte) (mesh.Value, bool) {
	list := mesh.Value{Kind: mesh.KindArray}
	for i := 0; i < len(b); {
		tag, at, end := wire.Next(b, i)
		if end < 0 {
			return null, false
		}
		i = end
		if tag != 1<<3|wire.Bytes {
			continue
		}
		h, ok := headerValue(b[at:end])
		if !ok {
			return null, false
		}
		list.Elems = append(list.Elems, h)
	}
	if len(list.Elems) == 0 {
		return mesh.Value{Kind: mesh.KindObject}, true
	}
	return object(mesh.Field{Name: "headers", Value: list}), true
}

func headerValue(b []byte) (mesh.Value, bool) {
	var key, value, raw []byte
	for i := 0; i < len(b); {
		tag, at, end := wire.Next(b, i)
		if end < 0 {
			return null, false
		}
		switch tag {
		case 1<<3 | wire.Bytes:
			key = b[at:end]
		case 2<<3 | wire.Bytes:
			value = b[at:end]
		case 3<<3 | wire.Bytes:
			raw = b[at:end]
		}
		i = end
	}
	if !utf8.Valid(key) || !utf8.Valid(value) {
		return null, false
	}
	var fields []mesh.Field
	if len(key) > 0 {
		fields = append(fields, mesh.Field{Name: "key", Value: text(wire.Lend(key))})
	}
	if len(raw) > 0 {
		fields = append(fields, mesh.Field{Name: "rawValue", Value: text(base64.StdEncoding.EncodeToString(raw))})
	}
	if len(value) > 0 {
		fields = append(fields, mesh.Field{Name: "value", Value: text(wire.Lend(value))})
	}
	return mesh.Value{Kind: mesh.KindObject, Fields: fields}, true
}

// timestamp reads a google.protobuf.Timestamp as RFC 3339 in UTC with 0, 3, 6
// or 9 digits of the second.
func timestamp(b []byte) (mesh.Value, bool) {
	var sec int64
	var nanos int32
	for i := 0; i < len(b); {
		tag, at, end := wire.Next(b, i)
		if end < 0 {
			return null, false
		}
		switch tag {
		case 1<<3 | wire.Varint:
			sec = int64(at)
		case 2<<3 | wire.Varint:
			nanos = int32(at)
		}
		i = end
	}
	const first, last = -62135596800, 253402300799 // the years 1 to 9999
	if sec < first || sec > last || nanos < 0 || nanos > 999_999_999 {
		return null, false
	}
	s := time.Unix(sec, int64(nanos)).UTC().Format("2006-01-02T15:04:05.000000000")
	s = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(s, "000"), "000"), ".000")
	return text(s + "Z"), true
}

// parseJSON reads one JSON document; of equal names the last one counts.
func parseJSON(b []byte) (mesh.Value, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		return null, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return null, errors.New("more than one JSON document")
	}
	return valueOf(x), nil
}

// valueOf converts what encoding/json makes of a document.
func valueOf(x any) mesh.Value {
	switch x := x.(type) {
	case bool:
		return mesh.Value{Kind: mesh.KindBool, Bool: x}
	case json.Number:
		return number(x.String())
	case float64:
		return number(formatNumber(x))
	case int:
		return number(strconv.Itoa(x))
	case string:
		return text(x)
	case []string:
		v := mesh.Value{Kind: mesh.KindArray, Elems: make([]mesh.Value, len(x))}
		for i, s := range x {
			v.Elems[i] = text(s)
		}
		return v
	case []any:
		v := mesh.Value{Kind: mesh.KindArray, Elems: make([]mesh.Value, len(x))}
		for i, e := range x {
			v.Elems[i] = valueOf(e)
		}
		return v
	case map[string]any:
		fields := make([]mesh.Field, 0, len(x))
		for name, e := range x {
			fields = append(fields, mesh.Field{Name: name, Value: valueOf(e)})
		}
		return object(fields...)
	}
	return null
}
