package extauthz

import (
	"strconv"
	"unicode/utf8"

	"github.com/tallygate/tallygate/mesh"
)

// problem is why a value that was asked for cannot be read; it is the reason in
// the metrics. The empty one is none.
type problem string

const (
	badUTF8      problem = "invalid_utf8"
	badPath      problem = "path"       // not a URL path, or its query is none
	badBody      problem = "body"       // not what its content type says
	badMetadata  problem = "metadata"   // malformed, or not to be said in JSON
	badAddress   problem = "address"    // malformed
	badTime      problem = "time"       // malformed or out of range
	badHeaderMap problem = "header_map" // malformed
)

// lens is the request of a CheckRequest: it reads from the wire bytes. It may be
// used for one request after the other.
type lens struct {
	view
	bodies *bodyParser

	// problem is the first one that a Lookup met. What was asked for was then
	// said to be absent, and a decision that rests on it is void.
	problem problem

	path pathParts
	body bodyParts
}

var _ mesh.Request = (*lens)(nil)

// reset makes l a lens on the CheckRequest b, which it keeps until the next
// reset. It returns false if b is malformed.
func (l *lens) reset(b []byte) bool {
	l.problem = ""
	l.path.reset()
	l.body = bodyParts{}
	return l.view.reset(checkRequest, b)
}

// release forgets what is lent, and buffers that a large request has left.
func (l *lens) release() {
	l.b = nil
	clear(l.merged)
	l.body = bodyParts{}
	l.path.release()
	if cap(l.entries) > 1024 {
		l.entries = nil
	}
}

// Names at the root of the input beside what is on the wire.
const (
	nameParsedPath      = "parsed_path"
	nameParsedQuery     = "parsed_query"
	nameParsedBody      = "parsed_body"
	nameTruncatedBody   = "truncated_body"
	nameSourcePrincipal = "source_principal"
	nameVersion         = "version"
)

var version = object(
	mesh.Field{Name: "encoding", Value: text("protojson")},
	mesh.Field{Name: "ext_authz", Value: text("v3")},
)

// Lookup implements [mesh.Request].
func (l *lens) Lookup(p mesh.Path) (mesh.Value, bool) {
	if len(p) == 0 {
		return l.input()
	}
	switch p[0] {
	case nameParsedPath, nameParsedQuery, nameParsedBody, nameTruncatedBody, nameSourcePrincipal, nameVersion:
		v, ok := l.derived(p[0])
		if !ok {
			return mesh.Value{}, false
		}
		return navigate(v, p[1:])
	}
	return l.find(&l.view, checkRequest.root, p)
}

// find returns the value at a path below a message.
func (l *lens) find(v *view, n *node, p mesh.Path) (mesh.Value, bool) {
	for i, name := range p {
		if n = n.child(name); n == nil || !v.has(n) {
			return mesh.Value{}, false
		}
		if n.kind == kindMessage {
			continue
		}
		rest := p[i+1:]
		if n.kind == kindStrings && len(rest) > 0 {
			return l.mapValue(v, n, rest)
		}
		return l.leaf(v, n, rest)
	}
	return l.build(v, n)
}

// leaf returns the value at a path below a field that is not a message of the
// schema.
func (l *lens) leaf(v *view, n *node, rest mesh.Path) (mesh.Value, bool) {
	switch n.kind {
	case kindStrings:
		return l.stringMap(v, n)
	case kindAddress:
		var sub view
		if !sub.reset(address, v.bytes(n)) {
			return l.fail(badAddress)
		}
		return l.find(&sub, address.root, rest)
	case kindTimestamp:
		t, ok := timestamp(v.bytes(n))
		if !ok {
			return l.fail(badTime)
		}
		return navigate(t, rest)
	case kindMetadata:
		m, present, ok := metadata(v.bytes(n), rest)
		if !ok {
			return l.fail(badMetadata)
		}
		return m, present
	case kindHeaderMap:
		h, ok := headerMap(v.bytes(n))
		if !ok {
			return l.fail(badHeaderMap)
		}
		return navigate(h, rest)
	}
	s, ok, p := v.scalar(n)
	if p != "" {
		return l.fail(p)
	}
	if !ok {
		return mesh.Value{}, false
	}
	return navigate(s, rest)
}

func (l *lens) mapValue(v *view, n *node, rest mesh.Path) (mesh.Value, bool) {
	s, ok := v.entry(n, rest[0])
	if !ok {
		return mesh.Value{}, false
	}
	if !utf8.ValidString(s) {
		return l.fail(badUTF8)
	}
	return navigate(text(s), rest[1:])
}

// stringMap returns a map as an object.
func (l *lens) stringMap(v *view, n *node) (mesh.Value, bool) {
	var fields []mesh.Field
	for _, e := range v.entries {
		if e.slot != n.slot {
			continue
		}
		key, val := lend(v.b[e.key:e.keyEnd]), lend(v.b[e.val:e.to])
		if !utf8.ValidString(key) || !utf8.ValidString(val) {
			return l.fail(badUTF8)
		}
		if fields == nil {
			fields = make([]mesh.Field, 0, len(v.entries))
		}
		fields = append(fields, mesh.Field{Name: key, Value: text(val)})
	}
	return object(fields...), true
}

// build returns a message as an object.
func (l *lens) build(v *view, n *node) (mesh.Value, bool) {
	fields := make([]mesh.Field, 0, len(n.children))
	for _, c := range n.children {
		if !v.has(c) {
			continue
		}
		var val mesh.Value
		var ok bool
		if c.kind == kindMessage {
			val, ok = l.build(v, c)
		} else {
			val, ok = l.leaf(v, c, nil)
		}
		if l.problem != "" {
			return mesh.Value{}, false
		}
		if ok {
			fields = append(fields, mesh.Field{Name: c.name, Value: val})
		}
	}
	return mesh.Value{Kind: mesh.KindObject, Fields: fields}, true
}

// input builds the whole input.
func (l *lens) input() (mesh.Value, bool) {
	root, ok := l.build(&l.view, checkRequest.root)
	if !ok {
		return mesh.Value{}, false
	}
	fields := root.Fields
	for _, name := range []string{nameParsedBody, nameParsedPath, nameParsedQuery, nameSourcePrincipal, nameTruncatedBody, nameVersion} {
		v, ok := l.derived(name)
		if l.problem != "" {
			return mesh.Value{}, false
		}
		if ok {
			fields = append(fields, mesh.Field{Name: name, Value: v})
		}
	}
	return mesh.Value{Kind: mesh.KindObject, Fields: fields}, true
}

// derived returns a value at the root of the input that is not on the wire.
func (l *lens) derived(name string) (mesh.Value, bool) {
	switch name {
	case nameParsedPath:
		if !l.parsePath() {
			return l.fail(badPath)
		}
		return mesh.Value{Kind: mesh.KindArray, Elems: l.path.segments}, true
	case nameParsedQuery:
		if !l.parseQuery() {
			return l.fail(badPath)
		}
		return l.path.query, true
	case nameParsedBody, nameTruncatedBody:
		if !l.parseBody() {
			return l.fail(badBody)
		}
		if name == nameParsedBody {
			return l.body.value, true
		}
		return mesh.Value{Kind: mesh.KindBool, Bool: l.body.truncated}, true
	case nameSourcePrincipal:
		v, ok, p := l.scalar(nodePrincipal)
		if p != "" {
			return l.fail(p)
		}
		return v, ok
	default: // nameVersion
		return version, true
	}
}

func (l *lens) fail(p problem) (mesh.Value, bool) {
	if l.problem == "" {
		l.problem = p
	}
	return mesh.Value{}, false
}

// header returns the value of a request header by its name in lower case.
func (l *lens) header(name string) string {
	s, _ := l.entry(nodeHeaders, name)
	return s
}

// navigate returns the value at a path below v. The elements of an array have
// their index as the name.
func navigate(v mesh.Value, p mesh.Path) (mesh.Value, bool) {
	for _, name := range p {
		switch v.Kind {
		case mesh.KindObject:
			i, ok := findField(v.Fields, name)
			if !ok {
				return mesh.Value{}, false
			}
			v = v.Fields[i].Value
		case mesh.KindArray:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(v.Elems) || strconv.Itoa(i) != name {
				return mesh.Value{}, false
			}
			v = v.Elems[i]
		default:
			return mesh.Value{}, false
		}
	}
	return v, true
}

// traceID returns the trace id of the request, lent and unchecked.
func (l *lens) traceID() string {
	if p := l.header("traceparent"); len(p) >= 35 && p[2] == '-' {
		return p[3:35]
	}
	return l.header("x-b3-traceid")
}
