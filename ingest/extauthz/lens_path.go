package extauthz

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/tallygate/tallygate/mesh"
)

// pathParts is what is parsed of the path.
type pathParts struct {
	parsed, good bool
	path         string // unescaped, without leading slashes
	rawQuery     string
	values       url.Values // nil if the query was not parsed yet

	segments []mesh.Value // empty if not split yet
	query    mesh.Value   // null if not built yet
}

func (p *pathParts) reset() { *p = pathParts{segments: p.segments[:0]} }

func (p *pathParts) release() {
	clear(p.segments)
	p.reset()
	if cap(p.segments) > 256 {
		p.segments = nil
	}
}

// parsePath returns false if the path cannot be unescaped or its query is none.
// Most paths have nothing to unescape.
func (l *lens) parsePath() bool {
	p := &l.path
	if p.parsed {
		return p.good
	}
	p.parsed = true
	p.path, p.rawQuery, _ = strings.Cut(l.text(nodePath), "?")
	var err error
	if strings.IndexByte(p.path, '%') >= 0 {
		if p.path, err = url.PathUnescape(p.path); err != nil || !utf8.ValidString(p.path) {
			return false
		}
	}
	p.path = strings.TrimLeft(p.path, "/")
	if strings.IndexByte(p.rawQuery, '%') >= 0 || strings.IndexByte(p.rawQuery, ';') >= 0 {
		if p.values, err = url.ParseQuery(p.rawQuery); err != nil || !validValues(p.values) {
			return false
		}
	}
	p.good = true
	return true
}

// parsedPath is the path split at its slashes.
func (p *pathParts) parsedPath() mesh.Value {
	if len(p.segments) == 0 {
		for s := range strings.SplitSeq(p.path, "/") {
			p.segments = append(p.segments, text(s))
		}
	}
	return mesh.Value{Kind: mesh.KindArray, Elems: p.segments}
}

// parsedQuery has an array of values for each name in the query.
func (p *pathParts) parsedQuery() mesh.Value {
	if p.query.Kind == mesh.KindNull {
		if p.values == nil && p.rawQuery != "" {
			p.values, _ = url.ParseQuery(p.rawQuery) // its errors are those of % and ;
		}
		p.query = valuesOf(p.values)
	}
	return p.query
}

func validValues(values url.Values) bool {
	for name, list := range values {
		if !utf8.ValidString(name) {
			return false
		}
		for _, s := range list {
			if !utf8.ValidString(s) {
				return false
			}
		}
	}
	return true
}

// valuesOf converts a query or form.
func valuesOf(values url.Values) mesh.Value {
	fields := make([]mesh.Field, 0, len(values))
	for name, list := range values {
		fields = append(fields, mesh.Field{Name: name, Value: valueOf(list)})
	}
	return object(fields...)
}
