package extauthz

import (
	"strconv"

	"github.com/tallygate/tallygate/mesh"
)

// problem is why a request cannot be read; it is the reason in the metrics. The
// empty one is none.
type problem string

const (
	badPath   problem = "path"   // not a URL path, or its query is none
	badBody   problem = "body"   // not what its content type says
	badNested problem = "nested" // address, time, metadata or header map are malformed
)

// lens is the request of a CheckRequest: it reads from the wire bytes. It may be
// used for one request after the other.
type lens struct {
	view
	bodies *bodyParser // nil if bodies are not parsed

	// problem is why a value was said to be absent. A decision is then void.
	problem problem

	path pathParts
	body bodyParts
}

var (
	_ mesh.Request = (*lens)(nil)
	_ mesh.Prober  = (*lens)(nil)
)

// reset makes l a lens on the CheckRequest b, which it keeps until the next
// reset. It returns false if the generated code would refuse b; damage inside of
// addresses, the time and metadata shows only when they are asked for.
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

// parse reads what must be parsed: path, query and body. A request that cannot
// be read is denied whatever a policy asks for, so that no answer depends on
// what was looked at, and by whom.
func (l *lens) parse() problem {
	switch {
	case !l.parsePath():
		return badPath
	case !l.parseBody():
		return badBody
	}
	return ""
}

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

// Probe implements [mesh.Prober].
func (l *lens) Probe(p mesh.Path) (mesh.Kind, bool) {
	n := checkRequest.root
	for i, name := range p {
		if n = n.child(name); n == nil || !l.has(n) {
			break
		}
		if n.kind == kindMessage && i+1 < len(p) {
			continue
		}
		if i+1 == len(p) && (n.kind == kindMessage || n.kind == kindStrings) {
			return mesh.KindObject, true
		}
		if i+1 == len(p) && n.kind == kindBytes {
			return mesh.KindString, len(l.bytes(n)) > 0
		}
		break
	}
	if len(p) == 0 {
		return mesh.KindObject, true
	}
	v, ok := l.Lookup(p)
	return v.Kind, ok
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
			s, ok := v.entry(n, rest[0])
			if !ok {
				return mesh.Value{}, false
			}
			return navigate(text(s), rest[1:])
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
		return v.stringMap(n), true
	case kindAddress:
		var sub view
		if !sub.reset(address, v.bytes(n)) {
			return l.fail(badNested)
		}
		return l.find(&sub, address.root, rest)
	case kindTimestamp:
		t, ok := timestamp(v.bytes(n))
		if !ok {
			return l.fail(badNested)
		}
		return navigate(t, rest)
	case kindMetadata:
		m, present, ok := metadata(v.bytes(n), rest)
		if !ok {
			return l.fail(badNested)
		}
		return m, present
	case kindHeaderMap:
		h, ok := headerMap(v.bytes(n))
		if !ok {
			return l.fail(badNested)
		}
		return navigate(h, rest)
	}
	s, ok := v.scalar(n)
	if !ok {
		return mesh.Value{}, false
	}
	return navigate(s, rest)
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
	case nameParsedPath, nameParsedQuery:
		if !l.parsePath() {
			return l.fail(badPath)
		}
		if name == nameParsedPath {
			return l.path.parsedPath(), true
		}
		return l.path.parsedQuery(), true
	case nameParsedBody, nameTruncatedBody:
		if l.bodies == nil {
			return mesh.Value{}, false
		}
		if !l.parseBody() {
			return l.fail(badBody)
		}
		if name == nameParsedBody {
			return l.body.value, true
		}
		return mesh.Value{Kind: mesh.KindBool, Bool: l.body.truncated}, true
	case nameSourcePrincipal:
		return l.scalar(nodePrincipal)
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
