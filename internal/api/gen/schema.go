package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// schemas makes JSON schemas of Go types as encoding/json writes them.
type schemas struct{ components object }

func (s *schemas) of(v any) object { return s.ofType(reflect.TypeOf(v)) }

func (s *schemas) ofType(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return object{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return object{"anyOf": []any{s.ofType(t.Elem()), object{"type": "null"}}}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": []any{"array", "null"}, "items": s.ofType(t.Elem())}
	case reflect.Map:
		return object{"type": []any{"object", "null"}, "additionalProperties": s.ofType(t.Elem())}
	case reflect.Interface:
		return object{}
	case reflect.Struct:
		return s.ofStruct(t)
	}
	return object{"type": "integer"}
}

func (s *schemas) ofStruct(t reflect.Type) object {
	name := strings.NewReplacer("[", "Of", "]", "", "*", "", "/", "", ".", "").Replace(t.Name())
	if t.Name() != "" && !strings.Contains(t.Name(), "[") {
		if pkg := t.PkgPath(); pkg != reflect.TypeFor[labels]().PkgPath() && !strings.HasSuffix(pkg, "/fleet") {
			name = pkg[strings.LastIndexByte(pkg, '/')+1:] + "." + name
		}
		ref := object{"$ref": "#/components/schemas/" + name}
		if s.components[name] == nil {
			s.components[name] = object{} // it may hold itself
			s.components[name] = s.fields(t)
		}
		return ref
	}
	return s.fields(t)
}

func (s *schemas) fields(t reflect.Type) object {
	properties, required := object{}, []any{}
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous && tag == "" {
				walk(f.Type)
				continue
			}
			if !f.IsExported() || tag == "-" {
				continue
			}
			if tag == "" {
				tag = f.Name
			}
			properties[tag] = s.ofType(f.Type)
			if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
				required = append(required, tag)
			}
		}
	}
	walk(t)
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}
