package extauthz

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/tallygate/tallygate/mesh"
)

// pathParts is what is parsed of the path, once it is asked for.
type pathParts struct {
	parsed, good           bool
	queryParsed, queryGood bool
	segments               []mesh.Value
	query                  mesh.Value
}

func (p *pathParts) reset() {
	*p = pathParts{segments: p.segments[:0]}
}

func (p *pathParts) release() {
	clear(p.segments)
	p.reset()
	if cap(p.segments) > 256 {
		p.segments = nil
	}
}

// parsePath splits the path, unescaped and without leading slashes, at its
// slashes.
func (l *lens) parsePath() bool {
	p := &l.path
	if p.parsed {
		return p.good
	}
	p.parsed = true
	path, _, _ := strings.Cut(l.text(nodePath), "?")
	if strings.IndexByte(path, '%') >= 0 {
		var err error
		if path, err = url.PathUnescape(path); err != nil {
			return false
		}
	}
	if !utf8.ValidString(path) {
		return false
	}
	path = strings.TrimLeft(path, "/")
	for {
		segment, rest, more := strings.Cut(path, "/")
		p.segments = append(p.segments, text(segment))
		if !more {
			break
		}
		path = rest
	}
	p.good = true
	return true
}

// parseQuery reads the query of the path: each name has an array of values.
func (l *lens) parseQuery() bool {
	p := &l.path
	if p.queryParsed {
		return p.queryGood
	}
	p.queryParsed = true
	p.query = mesh.Value{Kind: mesh.KindObject}
	if _, raw, _ := strings.Cut(l.text(nodePath), "?"); raw != "" {
		values, err := url.ParseQuery(raw)
		if err != nil {
			return false
		}
		var ok bool
		if p.query, ok = valuesOf(values); !ok {
			return false
		}
	}
	p.queryGood = true
	return true
}

// valuesOf converts a query or form. It returns false if that is not UTF-8.
func valuesOf(values url.Values) (mesh.Value, bool) {
	fields := make([]mesh.Field, 0, len(values))
	for name, list := range values {
		if !utf8.ValidString(name) {
			return null, false
		}
		for _, s := range list {
			if !utf8.ValidString(s) {
				return null, false
			}
		}
		fields = append(fields, mesh.Field{Name: name, Value: valueOf(list)})
	}
	return object(fields...), true
}
