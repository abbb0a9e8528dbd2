package extauthz

import (
	"encoding/json"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// checkResponse compares a rendered verdict with the JSON of the CheckResponse.
func checkResponse(t *testing.T, v *mesh.Verdict, l mesh.Listener, want string) {
	t.Helper()
	r := render(v, l)
	var got, expected authv3.CheckResponse
	if err := proto.Unmarshal(r.response("the-id"), &got); err != nil {
		t.Fatalf("unmarshal: %v", err)
	}
	if err := protojson.Unmarshal([]byte(want), &expected); err != nil {
		t.Fatalf("want: %v", err)
	}
	if !proto.Equal(&got, &expected) {
		t.Errorf("got  %s\nwant %s", protojson.Format(&got), protojson.Format(&expected))
	}
}

func TestRender(t *testing.T) {
	const http, tcp = mesh.ListenerExtAuthzHTTP, mesh.ListenerExtAuthzTCP
	f := func(v mesh.Verdict, l mesh.Listener, want string) {
		t.Helper()
		checkResponse(t, &v, l, want)
	}
	f(mesh.Verdict{Allowed: true}, http, `{"status": {}, "okResponse": {}, "dynamicMetadata": {"decision_id": "the-id"}}`)
	f(mesh.Verdict{Allowed: true, Rule: "policy/rules.rego:7", Metadata: map[string]any{
		"decision_id": "forged", "n": json.Number("1.5"), "list": []any{"a", true, nil}, "o": map[string]any{"k": "v"},
	}}, tcp, `{"status": {}, "dynamicMetadata": {"decision_id": "the-id", "policy_rule": "policy/rules.rego:7", "n": 1.5, "list": ["a", true, null], "o": {"k": "v"}}}`)
	f(mesh.Verdict{
		Allowed:         true,
		Headers:         []mesh.Header{{Name: "x-user", Value: "alice"}, {Name: "x-group", Value: "a"}, {Name: "X-Group", Value: "b"}, {Name: "x-empty"}},
		HeadersToRemove: []string{"authorization"},
		ResponseHeaders: []mesh.Header{{Name: "set-cookie", Value: "a=1"}, {Name: "set-cookie", Value: "b=2"}},
		QueryToSet:      []mesh.Header{{Name: "q", Value: "1"}},
		QueryToRemove:   []string{"token"},
	}, http, `{"status": {}, "okResponse": {
		"headers": [{"header": {"key": "x-user", "value": "alice"}}, {"header": {"key": "x-group", "value": "a"}},
			{"header": {"key": "X-Group", "value": "b"}, "append": true}, {"header": {"key": "x-empty"}}],
		"headersToRemove": ["authorization"],
		"responseHeadersToAdd": [{"header": {"key": "set-cookie", "value": "a=1"}}, {"header": {"key": "set-cookie", "value": "b=2"}}],
		"queryParametersToSet": [{"key": "q", "value": "1"}],
		"queryParametersToRemove": ["token"]
	}, "dynamicMetadata": {"decision_id": "the-id"}}`)
	f(mesh.Verdict{Status: 401, Body: "no \xff", Headers: []mesh.Header{{Name: "set-cookie", Value: "a"}, {Name: "set-cookie", Value: "b"}}}, http,
		`{"status": {"code": 7}, "deniedResponse": {"status": {"code": 401}, "body": "no \ufffd",
		"headers": [{"header": {"key": "set-cookie", "value": "a"}}, {"header": {"key": "set-cookie", "value": "b"}}]}, "dynamicMetadata": {"decision_id": "the-id"}}`)
	f(mesh.Verdict{}, http, `{"status": {"code": 7}, "deniedResponse": {"status": {"code": 403}}, "dynamicMetadata": {"decision_id": "the-id"}}`)
	f(mesh.Verdict{Status: 302}, tcp, `{"status": {"code": 7}, "dynamicMetadata": {"decision_id": "the-id"}}`)
	f(mesh.Verdict{Status: 418}, http, `{"status": {"code": 7}, "deniedResponse": {"status": {"code": 403}}, "dynamicMetadata": {"decision_id": "the-id"}}`)
	f(mesh.Verdict{Metadata: map[string]any{"long": strings.Repeat("x", 300)}}, tcp,
		`{"status": {"code": 7}, "dynamicMetadata": {"decision_id": "the-id", "long": "`+strings.Repeat("x", 300)+`"}}`)
}

func TestRenderRefusesInjection(t *testing.T) {
	denied := `{"status": {"code": 7}, "deniedResponse": {"status": {"code": 403}}, "dynamicMetadata": {"decision_id": "the-id"}}`
	f := func(reason string, v mesh.Verdict) {
		t.Helper()
		v.Allowed = true
		checkResponse(t, &v, mesh.ListenerExtAuthzHTTP, denied)
		if r := render(&v, mesh.ListenerExtAuthzHTTP); len(r.refused) != 1 || r.refused[0] != reason || r.allowed {
			t.Errorf("allowed %v, refused %q; want %q", r.allowed, r.refused, reason)
		}
	}
	header := func(name, value string) mesh.Verdict {
		return mesh.Verdict{Headers: []mesh.Header{{Name: name, Value: value}}}
	}
	f(refusedValue, header("x-user", "alice\r\nx-admin: true"))
	f(refusedValue, header("x-user", "a\nb"))
	f(refusedValue, header("x-user", "a\x00b"))
	f(refusedValue, header("x-user", "a\xffb"))
	f(refusedName, header(":path", "/admin"))
	f(refusedName, header("", "x"))
	f(refusedName, header("x user", "x"))
	f(refusedName, header("x-user\r\nx-admin", "x"))
	f(refusedName, mesh.Verdict{HeadersToRemove: []string{":authority"}})
	f(refusedValue, mesh.Verdict{ResponseHeaders: []mesh.Header{{Name: "a", Value: "\r"}}})
	f(refusedQuery, mesh.Verdict{QueryToSet: []mesh.Header{{Name: "a", Value: "\xff"}}})
	f(refusedQuery, mesh.Verdict{QueryToRemove: []string{"\xff"}})

	// A denial stands, without the header.
	v := mesh.Verdict{Status: 401, Headers: []mesh.Header{{Name: "a", Value: "\r\n"}, {Name: "b", Value: "c"}}}
	checkResponse(t, &v, mesh.ListenerExtAuthzHTTP,
		`{"status": {"code": 7}, "deniedResponse": {"status": {"code": 401}, "headers": [{"header": {"key": "b", "value": "c"}}]}, "dynamicMetadata": {"decision_id": "the-id"}}`)
}
