package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tallygate/tallygate/mesh"
)

// maskedHeaders are never recorded.
var maskedHeaders = []string{"authorization", "proxy-authorization", "cookie", "x-forwarded-client-cert"}

// Masked stands for a value that is not recorded.
const Masked = "[masked]"

// mask is a tree of the names whose values are hidden.
type mask struct {
	hidden bool
	below  map[string]*mask
}

// newMask hides headers and the dotted paths of the input.
func newMask(headers, paths []string) *mask {
	m := &mask{}
	http := []string{"attributes", "request", "http"}
	for _, h := range slices.Concat(maskedHeaders, headers) {
		m.hide(append(http[:3:3], "headers", strings.ToLower(h)))
	}
	// The same headers over again, as a list.
	m.hide(append(http[:3:3], "header_map"))
	m.hide(append(http[:3:3], "headerMap"))
	for _, p := range paths {
		p, _ = strings.CutPrefix(p, "input.")
		names := strings.Split(p, ".")
		m.hide(names)
		// What is hidden of the parsed form must not show in the raw one.
		switch names[0] {
		case "parsed_body":
			m.hide(append(http[:3:3], "body"))
			m.hide(append(http[:3:3], "raw_body"))
			m.hide(append(http[:3:3], "rawBody"))
		case "parsed_query", "parsed_path":
			m.hide(append(http[:3:3], "path"))
			m.hide(append(http[:3:3], "query"))
		}
	}
	return m
}

func (m *mask) hide(names []string) {
	for _, name := range names {
		if m.below == nil {
			m.below = map[string]*mask{}
		}
		if m.below[name] == nil {
			m.below[name] = &mask{}
		}
		m = m.below[name]
	}
	m.hidden = true
}

// appendJSON writes v without what is hidden. It stops beyond limit bytes; what
// it then returns is not JSON.
func (m *mask) appendJSON(b []byte, v *mesh.Value, limit int) []byte {
	if len(b) > limit {
		return b
	}
	if m != nil && m.hidden {
		return append(b, `"`+Masked+`"`...)
	}
	switch v.Kind {
	case mesh.KindNull:
		return append(b, "null"...)
	case mesh.KindBool:
		if v.Bool {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	case mesh.KindNumber:
		return append(b, v.Text...)
	case mesh.KindString:
		if len(v.Text) > limit {
			return append(b, v.Text[:limit+1]...)
		}
		return appendJSONString(b, v.Text)
	case mesh.KindArray:
		b = append(b, '[')
		for i := range v.Elems {
			if i > 0 {
				b = append(b, ',')
			}
			b = m.child("[]").appendJSON(b, &v.Elems[i], limit)
		}
		return append(b, ']')
	}
	b = append(b, '{')
	for i := range v.Fields {
		if i > 0 {
			b = append(b, ',')
		}
		f := &v.Fields[i]
		b = append(appendJSONString(b, f.Name), ':')
		b = m.child(f.Name).appendJSON(b, &f.Value, limit)
	}
	return append(b, '}')
}

func (m *mask) child(name string) *mask {
	if m == nil {
		return nil
	}
	if c, ok := m.below[name]; ok {
		return c
	}
	return m.below[strings.ToLower(name)]
}

// appendJSONString writes s, of which most is plain.
func appendJSONString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			q, _ := json.Marshal(s) // invalid UTF-8 becomes U+FFFD
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
