package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/confmap"
)

// refused has keys of the Collector's sections that are left out on purpose.
var refused = map[string]string{
	"max_connection_age":       "grpc closes access-log streams hard at this age; use ingest.als.connection_age, which lets each stream end between two messages",
	"max_connection_age_grace": "grpc closes access-log streams hard; use ingest.als.connection_age, which lets each stream end between two messages",
	"auth":                     "authentication extensions are not supported here; use tls.client_ca_file",
	"middlewares":              "middleware extensions are not supported here",
	"include_metadata":         "has no meaning here: there is no pipeline to pass metadata to",
	"cors":                     "is not supported here: no page of another origin may read this",
	"idle_timeout":             "is written keepalive.idle_timeout",
	"keep_alives_enabled":      "is written keepalive.enabled",
	"compression_algorithms":   "is not supported here: requests have no body",
	"max_request_body_size":    "is not supported here: requests have no body",
}

// check finds unknown keys and wrong types below f in conf, whose root is at
// path f.path. Each leaf is decoded by itself, so that every problem is found
// and its path is known.
func check(conf *confmap.Conf, f *field) Problems {
	var ps Problems
	checkSection(&ps, conf, f, f.path)
	return ps
}

func checkSection(ps *Problems, conf *confmap.Conf, f *field, path string) {
	for key, raw := range conf.ToStringMap() {
		at := join(path, key)
		if f.optional && key == "enabled" {
			if _, ok := raw.(bool); !ok {
				ps.add(at, "want true or false, got %v", raw)
			}
			continue
		}
		c := f.child(key)
		if c == nil {
			ps.add(at, "%s", unknownKey(f, key))
			continue
		}
		checkValue(ps, conf, c, key, raw, at)
	}
}

func checkValue(ps *Problems, conf *confmap.Conf, c *field, key string, raw any, at string) {
	nested := c.kind == section || c.kind == free && c.typ.Kind() == reflect.Map || c.kind == table && c.elem.kind == section
	if nested {
		if raw == nil {
			return
		}
		if _, ok := raw.(map[string]any); !ok {
			ps.add(at, "want a section of keys, got %s", describe(raw))
			return
		}
		sub, err := conf.Sub(key)
		if err != nil {
			ps.add(at, "%s", err)
			return
		}
		switch c.kind {
		case section:
			checkSection(ps, sub, c, at)
		case table:
			for k, v := range sub.ToStringMap() {
				checkValue(ps, sub, c.elem, k, v, join(at, k))
			}
		}
		return
	}
	if elems, ok := raw.([]any); ok && c.kind == list && c.elem.kind == section {
		for i, e := range elems {
			m, ok := e.(map[string]any)
			if !ok {
				ps.add(at+"["+strconv.Itoa(i)+"]", "want a section of keys, got %s", describe(e))
				continue
			}
			checkSection(ps, confmap.NewFromStringMap(m), c.elem, at+"["+strconv.Itoa(i)+"]")
		}
		return
	}
	checkLeaf(ps, conf, c, key, raw, at)
}

// checkLeaf decodes one key alone.
func checkLeaf(ps *Problems, conf *confmap.Conf, c *field, key string, raw any, at string) {
	if c.kind == free {
		return
	}
	if raw == nil && c.kind == leaf {
		ps.add(at, "has no value: want %s", wanted(c))
		return
	}
	one := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: "Value", Type: c.typ, Tag: reflect.StructTag(fmt.Sprintf(`mapstructure:%q`, key)),
	}}))
	err := conf.Unmarshal(one.Interface(), confmap.WithIgnoreUnused())
	// A bare number would be nanoseconds, which nobody means.
	_, text := raw.(string)
	if err == nil && (c.typ != durationType || text || raw == 0) {
		return
	}
	got := describe(raw)
	if c.typ == opaqueType {
		got = "something else" // may be the secret itself
	}
	msg := fmt.Sprintf("want %s, got %s", wanted(c), got)
	if c.typ.Kind() == reflect.String {
		switch raw.(type) {
		case map[string]any, []any:
		default:
			msg += "; put it in quotes"
		}
	}
	ps.add(at, "%s", msg)
}

func describe(raw any) string {
	switch v := raw.(type) {
	case nil:
		return "nothing"
	case string:
		return strconv.Quote(v)
	case map[string]any:
		return "a section of keys"
	case []any:
		elems := make([]string, len(v))
		for i, e := range v {
			elems[i] = describe(e)
		}
		return "[" + strings.Join(elems, ", ") + "]"
	default:
		return fmt.Sprint(v)
	}
}

// wanted says in words what may be written.
func wanted(f *field) string {
	if f.typ == durationType {
		return `a duration such as "10s"`
	}
	switch f.kind {
	case list:
		if f.elem.kind == section {
			return "a list of sections"
		}
		return "a list of which each is " + wanted(f.elem)
	case table:
		return "a section of keys of which each is " + wanted(f.elem)
	case section, free:
		return "a section of keys"
	}
	switch f.typ.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number that is not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	}
	return "a " + f.typ.Kind().String()
}

func unknownKey(f *field, key string) string {
	if why, ok := refused[key]; ok {
		return why
	}
	keys := make([]string, 0, len(f.children))
	for _, c := range f.children {
		keys = append(keys, c.key)
	}
	if best := nearest(key, keys); best != "" {
		return fmt.Sprintf("unknown key; did you mean %s?", best)
	}
	slices.Sort(keys)
	return "unknown key; known here: " + strings.Join(keys, ", ")
}

// nearest returns the candidate that is one letter away, or at most a third of
// key's letters.
func nearest(key string, candidates []string) string {
	best, least := "", max(2, len(key)/3+1)
	for _, c := range candidates {
		if d := distance(key, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the letters to change, add, drop or swap with their neighbour
// (Damerau-Levenshtein, optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
