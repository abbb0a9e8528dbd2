package config

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
)

//go:generate go run ./gen

//go:embed schema.json
var schemaJSON []byte

// Schema is the JSON Schema of the configuration file.
func Schema() []byte { return schemaJSON }

// Comments are the comments of struct fields by <import path>.<type>.<field>.
type Comments map[string]string

// object keeps its keys in order.
type object struct {
	keys   []string
	values []any
}

func (o *object) set(key string, value any) {
	o.keys, o.values = append(o.keys, key), append(o.values, value)
}

func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, k := range o.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		v, err := json.Marshal(o.values[i])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", k, v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// GenerateSchema makes the JSON Schema from the types and their comments.
// Source: https://json-schema.org/draft/2020-12/schema
func GenerateSchema(comments Comments) ([]byte, error) {
	root := &object{}
	root.set("$schema", "https://json-schema.org/draft/2020-12/schema")
	root.set("$id", "https://github.com/tallygate/tallygate/internal/config/schema.json")
	root.set("title", "Tallygate configuration")
	schemaOf(root, newTree(reflect.ValueOf(DefaultConfig())), comments)
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the schema: %w", err)
	}
	return append(b, '\n'), nil
}

func schemaOf(o *object, f *field, comments Comments) {
	if c := comments[f.goName]; c != "" {
		o.set("description", c)
	}
	switch f.kind {
	case section:
		schemaSection(o, f, comments)
	case list:
		o.set("type", "array")
		o.set("items", nested(f.elem, comments))
		setDefault(o, f)
	case table:
		o.set("type", []string{"object", "null"})
		o.set("additionalProperties", nested(f.elem, comments))
	case free:
		if f.typ.Kind() == reflect.Map {
			o.set("type", []string{"object", "null"})
		}
	case leaf:
		schemaLeaf(o, f)
		setDefault(o, f)
	}
}

func nested(f *field, comments Comments) *object {
	o := &object{}
	schemaOf(o, f, comments)
	return o
}

func schemaSection(o *object, f *field, comments Comments) {
	o.set("type", []string{"object", "null"})
	o.set("additionalProperties", false)
	properties := &object{}
	for _, c := range f.children {
		properties.set(c.key, nested(c, comments))
	}
	if f.optional {
		enabled := &object{}
		enabled.set("type", "boolean")
		enabled.set("description", "false is as if the section were absent")
		properties.set("enabled", enabled)
	}
	o.set("properties", properties)
}

// schemaLeaf allows ${…} wherever something else than a string is wanted.
func schemaLeaf(o *object, f *field) {
	if f.typ == durationType {
		o.set("type", "string")
		o.set("pattern", `^(\$\{.*|[+-]?(0|([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+))$`)
		return
	}
	typ := ""
	switch f.typ.Kind() {
	case reflect.Bool:
		typ = "boolean"
	case reflect.Float32, reflect.Float64:
		typ = "number"
	case reflect.String:
		o.set("type", "string")
		return
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		typ = "integer"
	default:
		o.set("type", "string")
		return
	}
	o.set("type", []string{typ, "string"})
	o.set("pattern", `^\$\{`) // for the string
}

func setDefault(o *object, f *field) {
	if !f.def.IsValid() {
		return
	}
	switch f.kind {
	case leaf:
		o.set("default", plain(f.def))
	case list:
		if f.elem.kind != leaf || f.def.Len() == 0 {
			return
		}
		l := make([]any, f.def.Len())
		for i := range l {
			l[i] = plain(f.def.Index(i))
		}
		o.set("default", l)
	}
}
