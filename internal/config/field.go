package config

import (
	"encoding"
	"reflect"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"
)

// kind says how a field is written.
type kind int

const (
	leaf    kind = iota
	section      // a struct: known keys
	list         // elem each
	table        // a map: any key, elem each
	free         // any YAML
)

// field is a key of the configuration, found by reflection over the mapstructure
// tags of Config.
type field struct {
	key      string
	path     string // dotted; "[]" stands for an element of a list, "<name>" for a key of a table
	kind     kind
	typ      reflect.Type
	optional bool     // the section is absent unless it is written
	children []*field // of a section, in the order of the struct
	elem     *field   // of a list or a table
	def      reflect.Value
	goName   string // <import path>.<type>.<field>: where the comment is
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	mapListType  = reflect.TypeFor[configopaque.MapList]()
	opaqueType   = reflect.TypeFor[configopaque.String]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// newTree returns the tree of v, whose values are the defaults.
func newTree(v reflect.Value) *field {
	f := &field{typ: v.Type(), def: v}
	f.fill()
	return f
}

func (f *field) fill() {
	if inner, ok := unwrapOptional(f.def, true); ok {
		f.optional, f.def, f.typ = true, inner, inner.Type()
	}
	if f.typ.Kind() == reflect.Pointer && f.typ.Elem().Kind() == reflect.Struct {
		f.optional, f.typ = true, f.typ.Elem()
		if f.def.IsNil() {
			f.def = reflect.New(f.typ)
		}
		f.def = f.def.Elem()
	}
	switch {
	case f.typ == durationType || f.typ == opaqueType || reflect.PointerTo(f.typ).Implements(textType):
	case f.typ == mapListType:
		f.kind = table
		f.elem = &field{path: f.path + ".<name>", typ: opaqueType, def: reflect.Zero(opaqueType)}
	case f.typ.Kind() == reflect.Struct:
		f.kind = section
		f.addFields(f.def)
	case f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() != reflect.Uint8:
		f.kind = list
		f.elem = &field{path: f.path + "[]", typ: f.typ.Elem(), def: reflect.Zero(f.typ.Elem())}
		f.elem.fill()
	case f.typ.Kind() == reflect.Map && f.typ.Elem().Kind() != reflect.Interface:
		f.kind = table
		f.elem = &field{path: f.path + ".<name>", typ: f.typ.Elem(), def: reflect.Zero(f.typ.Elem())}
		f.elem.fill()
	case f.typ.Kind() == reflect.Map || f.typ.Kind() == reflect.Interface:
		f.kind = free
	}
}

func (f *field) addFields(v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		name, opts, _ := strings.Cut(sf.Tag.Get("mapstructure"), ",")
		if name == "-" {
			continue
		}
		if strings.Contains(opts, "squash") {
			f.addFields(v.Field(i))
			continue
		}
		if name == "" {
			name = strings.ToLower(sf.Name)
		}
		c := &field{
			key: name, path: join(f.path, name), typ: sf.Type, def: v.Field(i),
			goName: t.PkgPath() + "." + t.Name() + "." + sf.Name,
		}
		c.fill()
		f.children = append(f.children, c)
	}
}

// walk calls fn for f and every field below it.
func (f *field) walk(fn func(*field)) {
	fn(f)
	for _, c := range f.children {
		c.walk(fn)
	}
	if f.elem != nil {
		f.elem.walk(fn)
	}
}

func (f *field) child(key string) *field {
	for _, c := range f.children {
		if c.key == key {
			return c
		}
	}
	return nil
}

// unwrapOptional returns what is in a configoptional.Optional; with orDefault
// also its default. The zero Value means that it is absent.
func unwrapOptional(v reflect.Value, orDefault bool) (inner reflect.Value, isOptional bool) {
	t := v.Type()
	if t.PkgPath() != "go.opentelemetry.io/collector/config/configoptional" {
		return reflect.Value{}, false
	}
	p := reflect.New(t)
	p.Elem().Set(v)
	method := "Get"
	if orDefault {
		method = "GetOrInsertDefault"
	}
	out := p.MethodByName(method).Call(nil)[0]
	if out.IsNil() {
		return reflect.Value{}, true
	}
	return out.Elem(), true
}

// visit calls fn for every leaf value of v with its path; lists are one value,
// tables and free maps one per key.
func (f *field) visit(v reflect.Value, path string, fn func(path string, f *field, v reflect.Value)) {
	if inner, ok := unwrapOptional(v, false); ok {
		if !inner.IsValid() {
			return
		}
		fn(path, f, reflect.ValueOf(true)) // an empty section differs from an absent one
		v = inner
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	switch {
	case f.kind == section:
		f.visitFields(v, path, fn)
	case v.Kind() == reflect.Map:
		for _, k := range v.MapKeys() {
			if f.kind == table && f.elem.kind == section {
				f.elem.visit(v.MapIndex(k), join(path, k.String()), fn)
				continue
			}
			fn(join(path, k.String()), f, v.MapIndex(k))
		}
	default:
		fn(path, f, v)
	}
}

func (f *field) visitFields(v reflect.Value, path string, fn func(string, *field, reflect.Value)) {
	t := v.Type()
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		name, opts, _ := strings.Cut(sf.Tag.Get("mapstructure"), ",")
		if strings.Contains(opts, "squash") {
			f.visitFields(v.Field(i), path, fn)
			continue
		}
		if name == "" {
			name = strings.ToLower(sf.Name)
		}
		if c := f.child(name); c != nil {
			c.visit(v.Field(i), join(path, name), fn)
		}
	}
}
