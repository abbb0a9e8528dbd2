package jaegermodel

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Names that Jaeger gives to what is not UTF-8; the bytes are kept beside them.
const (
	invalidName = "invalid-span-name"
	invalidKey  = "invalid-tag-key"
)

func valid(s string) bool { return utf8.ValidString(s) }

// validText is for text that has no binary form in the model.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// appendAttributes appends the attributes but the one named except. A value
// that is not UTF-8 becomes binary; keys that are not come last, numbered.
func appendAttributes(tags []KeyValue, attrs pcommon.Map, except string) []KeyValue {
	var bad []string
	for key, v := range attrs.All() {
		switch {
		case key == except:
		case !valid(key):
			bad = append(bad, key)
		default:
			tags = append(tags, tagOf(key, v))
		}
	}
	slices.Sort(bad)
	for i, key := range bad {
		v, _ := attrs.Get(key)
		text := []byte(key + ":")
		if v.Type() == pcommon.ValueTypeBytes {
			text = append(text, v.Bytes().AsRaw()...)
		} else {
			text = append(text, v.AsString()...)
		}
		tags = append(tags, BinaryTag(fmt.Sprintf("%s-%d", invalidKey, i+1), text))
	}
	return tags
}

func tagOf(key string, v pcommon.Value) KeyValue {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		if s := v.Str(); !valid(s) {
			return BinaryTag(key, []byte(s))
		}
		return StringTag(key, v.Str())
	case pcommon.ValueTypeInt:
		return Int64Tag(key, v.Int())
	case pcommon.ValueTypeBool:
		return BoolTag(key, v.Bool())
	case pcommon.ValueTypeDouble:
		return Float64Tag(key, v.Double())
	case pcommon.ValueTypeBytes:
		return BinaryTag(key, v.Bytes().AsRaw())
	case pcommon.ValueTypeMap, pcommon.ValueTypeSlice:
		return StringTag(key, validText(v.AsString()))
	}
	return StringTag(key, "")
}
