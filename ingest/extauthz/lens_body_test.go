package extauthz

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "google.golang.org/grpc/health/grpc_health_v1"
)

// descriptorSet writes the descriptors of a file and what it imports.
func descriptorSet(t *testing.T, fd protoreflect.FileDescriptor) string {
	t.Helper()
	set := new(descriptorpb.FileDescriptorSet)
	seen := map[string]bool{}
	var add func(fd protoreflect.FileDescriptor)
	add = func(fd protoreflect.FileDescriptor) {
		if seen[fd.Path()] {
			return
		}
		seen[fd.Path()] = true
		for i := range fd.Imports().Len() {
			add(fd.Imports().Get(i))
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(fd))
	}
	add(fd)
	file := filepath.Join(t.TempDir(), "set.pb")
	if err := os.WriteFile(file, mustMarshal(t, set), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func grpcBody(t *testing.T, m proto.Message) []byte {
	b := mustMarshal(t, m)
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
}

func TestParsedBody(t *testing.T) {
	descriptors, err := readDescriptors(descriptorSet(t, authv3.File_envoy_service_auth_v3_external_auth_proto))
	if err != nil {
		t.Fatal(err)
	}
	l := &lens{bodies: &bodyParser{max: 1000, descriptors: descriptors}}
	// f checks what is made of a body; want is JSON, empty if the request is refused.
	f := func(name, want string, truncated bool, headers string, change func(h *authv3.AttributeContext_HttpRequest)) {
		t.Helper()
		h := &authv3.AttributeContext_HttpRequest{Headers: map[string]string{}}
		for pair := range strings.SplitSeq(headers, "\n") {
			name, value, _ := strings.Cut(pair, ": ")
			h.Headers[name] = value
		}
		change(h)
		if !l.reset(mustMarshal(t, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: h}}})) {
			t.Fatalf("%s: malformed", name)
		}
		if p := l.parse(); p != "" {
			if want != "" || p != badBody {
				t.Errorf("%s: refused for %s; want %s", name, p, want)
			}
			return
		}
		v, ok := l.Lookup([]string{"parsed_body"})
		tr, _ := l.Lookup([]string{"truncated_body"})
		if got := mustJSON(t, plain(v)); !ok || got != want || tr.Bool != truncated {
			t.Errorf("%s: %s, %v, truncated %v; want %s, %v", name, got, ok, tr.Bool, want, truncated)
		}
	}
	body := func(s string) func(*authv3.AttributeContext_HttpRequest) {
		return func(h *authv3.AttributeContext_HttpRequest) { h.Body = s }
	}
	raw := func(b []byte, path string) func(*authv3.AttributeContext_HttpRequest) {
		return func(h *authv3.AttributeContext_HttpRequest) { h.RawBody, h.Path = b, path }
	}
	const isJSON = "content-type: application/json; charset=utf-8"
	f("JSON", `{"a":[1,2.50,null,true,"s"]}`, false, isJSON, body(` {"a": [1, 2.50, null, true, "s"]} `))
	f("JSON as bytes", `{"a":1}`, false, isJSON, raw([]byte(`{"a":0,"a":1}`), "/"))
	f("whole JSON", `1`, false, isJSON+"\ncontent-length: 1", body(`1`))
	f("cut-off JSON", `null`, true, isJSON+"\ncontent-length: 10", body(`{"a":`))
	f("JSON that Envoy cut off", `null`, true, isJSON+"\nx-envoy-auth-partial-body: true", body(`{"a":`))
	f("long JSON", `null`, true, isJSON, body(`"`+strings.Repeat("a", 1000)+`"`))
	f("no JSON", ``, false, isJSON, body(`{`))
	f("two documents", ``, false, isJSON, body(`1 2`))
	f("no length", ``, false, isJSON+"\ncontent-length: x", body(`1`))
	f("no body", `null`, false, isJSON, body(``))
	f("no content type", `null`, false, "a: b", body(`{"a":1}`))
	f("unknown content type", `null`, false, "content-type: text/plain", body(`{"a":1}`))
	f("form", `{"a":["1","2"],"b":[" \u0026"]}`, false, "content-type: application/x-www-form-urlencoded", body("a=1&b=+%26&a=2"))
	f("multipart", `{"f":["text","other"],"j":[{"a":1}]}`, false, "content-type: multipart/form-data; boundary=xx", body(strings.ReplaceAll(`--xx
Content-Disposition: form-data; name="f"

text
--xx
Content-Disposition: form-data; name="j"
Content-Type: application/json

{"a":1}
--xx
Content-Disposition: form-data; name="f"

other
--xx
Content-Disposition: attachment

nameless
--xx--
`, "\n", "\r\n")))
	f("multipart without boundary", `null`, false, "content-type: multipart/form-data", body("x"))

	const isGRPC, check = "content-type: application/grpc", "/envoy.service.auth.v3.Authorization/Check"
	message := grpcBody(t, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Source: &authv3.AttributeContext_Peer{Principal: "p"}}})
	f("gRPC", `{"attributes":{"source":{"principal":"p"}}}`, false, isGRPC, raw(message, check))
	f("cut-off gRPC", `null`, true, isGRPC, raw(message[:len(message)-1], check))
	f("gRPC of another service", `null`, false, isGRPC, raw(message, "/other.Service/Check"))
	f("gRPC of another method", `null`, false, isGRPC, raw(message, "/envoy.service.auth.v3.Authorization/Other"))
	f("compressed gRPC", `null`, false, isGRPC, raw(append([]byte{1}, message[1:]...), check))
	f("no gRPC message", ``, false, isGRPC, raw([]byte{0, 0}, check))
	f("no gRPC path", ``, false, isGRPC, raw(message, "/a/b/c"))
	f("another message", ``, false, isGRPC, raw([]byte{0, 0, 0, 0, 1, 0xff}, check))
}
