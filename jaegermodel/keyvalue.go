package jaegermodel

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
)

// ValueType is the type of a tag's value.
type ValueType uint8

// The types, in the order in which Jaeger sorts them.
const (
	String ValueType = iota
	Bool
	Int64
	Float64
	Binary
)

var typeNames = [...]string{"string", "bool", "int64", "float64", "binary"}

// String is the name of the type in Jaeger's JSON and in Cassandra.
func (t ValueType) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "unknown"
}

// ParseValueType is the inverse of String.
func ParseValueType(name string) (ValueType, bool) {
	i := slices.Index(typeNames[:], name)
	return ValueType(max(i, 0)), i >= 0
}

// KeyValue is a tag or the field of a log. Num holds what is neither text nor
// bytes.
type KeyValue struct {
	Key  string
	Type ValueType
	Str  string
	Num  uint64
	Bin  []byte
}

// StringTag returns a tag of type String.
func StringTag(key, value string) KeyValue { return KeyValue{Key: key, Str: value} }

// BoolTag returns a tag of type Bool.
func BoolTag(key string, value bool) KeyValue {
	kv := KeyValue{Key: key, Type: Bool}
	if value {
		kv.Num = 1
	}
	return kv
}

// Int64Tag returns a tag of type Int64.
func Int64Tag(key string, value int64) KeyValue {
	return KeyValue{Key: key, Type: Int64, Num: uint64(value)}
}

// Float64Tag returns a tag of type Float64.
func Float64Tag(key string, value float64) KeyValue {
	return KeyValue{Key: key, Type: Float64, Num: math.Float64bits(value)}
}

// BinaryTag returns a tag of type Binary.
func BinaryTag(key string, value []byte) KeyValue {
	return KeyValue{Key: key, Type: Binary, Bin: value}
}

// Bool, Int64 and Float64 are the value if it has that type.
func (kv *KeyValue) Bool() bool { return kv.Type == Bool && kv.Num != 0 }

// Int64 is the value of a tag of that type.
func (kv *KeyValue) Int64() int64 { return int64(kv.Num) }

// Float64 is the value of a tag of that type.
func (kv *KeyValue) Float64() float64 { return math.Float64frombits(kv.Num) }

// Text is the value as Jaeger indexes it and as one searches for it.
func (kv *KeyValue) Text() string {
	switch kv.Type {
	case Bool:
		return strconv.FormatBool(kv.Num != 0)
	case Int64:
		return strconv.FormatInt(kv.Int64(), 10)
	case Float64:
		return strconv.FormatFloat(kv.Float64(), 'g', 10, 64)
	case Binary:
		return hex.EncodeToString(kv.Bin)
	}
	return kv.Str
}

// Equal reports whether key, type and value are the same.
func (kv *KeyValue) Equal(o *KeyValue) bool { return compareKeyValues(*kv, *o) == 0 }

// SortTags sorts by key, type and value.
func SortTags(kvs []KeyValue) { slices.SortStableFunc(kvs, compareKeyValues) }

func compareKeyValues(a, b KeyValue) int {
	if c := cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Type, b.Type)); c != 0 {
		return c
	}
	switch a.Type {
	case Int64:
		return cmp.Compare(a.Int64(), b.Int64())
	case Float64:
		return cmp.Compare(a.Float64(), b.Float64())
	case Binary:
		return bytes.Compare(a.Bin, b.Bin)
	}
	return cmp.Or(cmp.Compare(a.Str, b.Str), cmp.Compare(a.Num, b.Num))
}
