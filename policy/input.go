package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tallygate/tallygate/mesh"
)

// Input is a request that owns its memory: recorded, hand-written, or kept for
// later. It is a [mesh.Request] that many may use at once.
type Input struct{ root mesh.Value }

// ParseInput reads an input of the contract from JSON.
func ParseInput(b []byte) (*Input, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("reading the input: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading the input: there is something after the JSON value")
	}
	return &Input{valueOf(v)}, nil
}

// Keep copies what r has, all of it.
func Keep(r mesh.Request) *Input {
	if in, ok := r.(*Input); ok {
		return in
	}
	v, _ := r.Lookup(nil)
	return &Input{cloneValue(v)}
}

// Lookup implements [mesh.Request]. An element of an array has its index for a
// name.
func (in *Input) Lookup(p mesh.Path) (mesh.Value, bool) {
	v := &in.root
	for _, name := range p {
		switch v.Kind {
		case mesh.KindObject:
			i, ok := slices.BinarySearchFunc(v.Fields, name, func(f mesh.Field, name string) int { return strings.Compare(f.Name, name) })
			if !ok {
				return mesh.Value{}, false
			}
			v = &v.Fields[i].Value
		case mesh.KindArray:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(v.Elems) || strconv.Itoa(i) != name {
				return mesh.Value{}, false
			}
			v = &v.Elems[i]
		default:
			return mesh.Value{}, false
		}
	}
	return *v, true
}

// MarshalJSON implements [json.Marshaler]. Nothing is masked.
func (in *Input) MarshalJSON() ([]byte, error) {
	var none *mask
	return none.appendJSON(nil, &in.root, math.MaxInt), nil
}

func valueOf(v any) mesh.Value {
	switch v := v.(type) {
	case bool:
		return mesh.Value{Kind: mesh.KindBool, Bool: v}
	case json.Number:
		return mesh.Value{Kind: mesh.KindNumber, Text: v.String()}
	case string:
		return mesh.Value{Kind: mesh.KindString, Text: v}
	case []any:
		out := mesh.Value{Kind: mesh.KindArray, Elems: make([]mesh.Value, len(v))}
		for i, e := range v {
			out.Elems[i] = valueOf(e)
		}
		return out
	case map[string]any:
		out := mesh.Value{Kind: mesh.KindObject, Fields: make([]mesh.Field, 0, len(v))}
		for name, e := range v {
			out.Fields = append(out.Fields, mesh.Field{Name: name, Value: valueOf(e)})
		}
		slices.SortFunc(out.Fields, func(a, b mesh.Field) int { return strings.Compare(a.Name, b.Name) })
		return out
	}
	return mesh.Value{}
}

func cloneValue(v mesh.Value) mesh.Value {
	v.Text = strings.Clone(v.Text)
	v.Elems = slices.Clone(v.Elems)
	for i := range v.Elems {
		v.Elems[i] = cloneValue(v.Elems[i])
	}
	v.Fields = slices.Clone(v.Fields)
	for i, f := range v.Fields {
		v.Fields[i] = mesh.Field{Name: strings.Clone(f.Name), Value: cloneValue(f.Value)}
	}
	return v
}
