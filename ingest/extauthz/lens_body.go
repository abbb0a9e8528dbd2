package extauthz

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tallygate/tallygate/ingest/wire"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// bodyParser reads bodies by their content type.
type bodyParser struct {
	max         int                  // longer bodies are not parsed
	descriptors *protoregistry.Files // of gRPC services; nil if there are none
}

// bodyParts is what is parsed of the body, once it is asked for.
type bodyParts struct {
	parsed, good bool
	value        mesh.Value // null if there is nothing to parse
	truncated    bool
}

// parseBody reads the body. It returns false if the body is not what its content
// type says.
func (l *lens) parseBody() bool {
	p := &l.body
	if p.parsed {
		return p.good
	}
	if l.bodies == nil || !l.has(nodeBody) && !l.has(nodeRawBody) {
		*p = bodyParts{parsed: true, good: true, value: null, truncated: l.header("x-envoy-auth-partial-body") == "true"}
		return true
	}
	*p = bodyParts{parsed: true, value: null}
	if l.header("x-envoy-auth-partial-body") == "true" {
		p.truncated, p.good = true, true
		return true
	}
	contentType, ok := l.entry(nodeHeaders, "content-type")
	if !ok {
		p.good = true
		return true
	}
	v, truncated, err := l.bodies.parse(l, contentType)
	if err != nil {
		return false
	}
	p.value, p.truncated, p.good = v, truncated, true
	return true
}

func (p *bodyParser) parse(l *lens, contentType string) (v mesh.Value, truncated bool, err error) {
	parse := p.parser(contentType)
	if strings.Contains(contentType, "application/grpc") && !strings.Contains(contentType, "application/json") {
		if p.descriptors == nil || !l.has(nodeRawBody) {
			return null, false, nil
		}
		raw := l.bytes(nodeRawBody)
		if len(raw) > p.max {
			return null, true, nil
		}
		return p.grpc(l, raw)
	}
	if parse == nil {
		return null, false, nil
	}
	body := l.bytes(nodeBody)
	if len(body) == 0 {
		body = l.bytes(nodeRawBody)
	}
	if len(body) == 0 {
		return null, false, nil
	}
	if s, ok := l.entry(nodeHeaders, "content-length"); ok {
		length, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return null, false, fmt.Errorf("content-length: %w", err)
		}
		if length > int64(len(body)) {
			return null, true, nil
		}
	}
	if len(body) > p.max {
		return null, true, nil
	}
	v, err = parse(contentType, body)
	return v, false, err
}

func (p *bodyParser) parser(contentType string) func(contentType string, body []byte) (mesh.Value, error) {
	switch {
	case strings.Contains(contentType, "application/json"):
		return func(_ string, body []byte) (mesh.Value, error) { return parseJSON(body) }
	case strings.Contains(contentType, "application/x-www-form-urlencoded"):
		return parseForm
	case strings.Contains(contentType, "multipart/form-data"):
		return parseMultipart
	}
	return nil
}

var errNotUTF8 = errors.New("not UTF-8")

func parseForm(_ string, body []byte) (mesh.Value, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return null, err
	}
	if !validValues(values) {
		return null, errNotUTF8
	}
	return valuesOf(values), nil
}

// parseMultipart gives every named part as an element of an array below its
// name: parsed if it is JSON, else as text.
func parseMultipart(contentType string, body []byte) (mesh.Value, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return null, err
	}
	boundary, ok := params["boundary"]
	if !ok {
		return null, nil
	}
	lists := map[string][]mesh.Value{}
	for r := multipart.NewReader(strings.NewReader(wire.Lend(body)), boundary); ; {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return null, err
		}
		name := part.FormName()
		if name == "" {
			continue
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return null, err
		}
		v := text(string(content))
		if strings.Contains(part.Header.Get("Content-Type"), "application/json") {
			if v, err = parseJSON(content); err != nil {
				return null, err
			}
		}
		if !utf8.ValidString(name) || v.Kind == mesh.KindString && !utf8.ValidString(v.Text) {
			return null, errNotUTF8
		}
		lists[name] = append(lists[name], v)
	}
	fields := make([]mesh.Field, 0, len(lists))
	for name, list := range lists {
		fields = append(fields, mesh.Field{Name: name, Value: mesh.Value{Kind: mesh.KindArray, Elems: list}})
	}
	return object(fields...), nil
}

// grpc reads the first message of a gRPC request, if its service is known.
func (p *bodyParser) grpc(l *lens, raw []byte) (v mesh.Value, truncated bool, err error) {
	if !l.parsePath() {
		return null, false, errors.New("the path cannot be read")
	}
	service, method, ok := strings.Cut(l.path.path, "/")
	if !ok || strings.Contains(method, "/") {
		return null, false, errors.New("the path does not name a gRPC method")
	}
	const head = 5
	if len(raw) < head {
		return null, false, errors.New("less than the head of a gRPC message")
	}
	if raw[0] != 0 { // compressed
		return null, false, nil
	}
	size := binary.BigEndian.Uint32(raw[1:head])
	if uint64(size) > uint64(len(raw)-head) {
		return null, true, nil
	}
	input := p.inputOf(service, method)
	if input == nil {
		return null, false, nil
	}
	m := dynamicpb.NewMessage(input)
	if err := proto.Unmarshal(raw[head:head+size], m); err != nil {
		return null, false, err
	}
	j, err := protojson.Marshal(m)
	if err != nil {
		return null, false, err
	}
	v, err = parseJSON(j)
	return v, false, err
}

// inputOf returns the request of a method that sends one, nil if it is not known.
func (p *bodyParser) inputOf(service, method string) protoreflect.MessageDescriptor {
	d, err := p.descriptors.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil
	}
	s, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil
	}
	m := s.Methods().ByName(protoreflect.Name(method))
	if m == nil || m.IsStreamingClient() {
		return nil
	}
	return m.Input()
}

// readDescriptors reads a FileDescriptorSet, as protoc --descriptor_set_out
// --include_imports and buf build write it.
func readDescriptors(file string) (*protoregistry.Files, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read descriptor set: %w", err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(b, &set); err != nil {
		return nil, fmt.Errorf("read descriptor set %s: %w", file, err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("read descriptor set %s (was it written with its imports?): %w", file, err)
	}
	return files, nil
}
