package mesh

import "strings"

// Path leads from the root of the contract input to a value, as
// {"attributes", "request", "http", "headers", "x-user"}. An element of an array
// has its index for a name: {"parsed_path", "0"}. The empty Path is the whole
// input.
type Path []string

// String returns the path as Rego spells it.
func (p Path) String() string {
	var b strings.Builder
	b.WriteString("input")
	for _, e := range p {
		if plainName(e) {
			b.WriteByte('.')
			b.WriteString(e)
		} else {
			b.WriteString(`["`)
			b.WriteString(strings.ReplaceAll(strings.ReplaceAll(e, `\`, `\\`), `"`, `\"`))
			b.WriteString(`"]`)
		}
	}
	return b.String()
}

func plainName(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// Kind is the type of a Value, as JSON has them.
type Kind uint8

const (
	KindNull Kind = iota
	KindBool
	KindNumber
	KindString
	KindArray
	KindObject
)

// Value is a value of the contract input.
type Value struct {
	Kind   Kind
	Bool   bool
	Text   string  // of a string; of a number, in JSON's spelling
	Elems  []Value // of an array
	Fields []Field // of an object, in ascending order of distinct names
}

// Field is a field of an object.
type Field struct {
	Name  string
	Value Value
}
