package extauthz

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// plain converts a Value to what encoding/json makes of a document.
func plain(v mesh.Value) any {
	switch v.Kind {
	case mesh.KindBool:
		return v.Bool
	case mesh.KindNumber:
		return json.Number(v.Text)
	case mesh.KindString:
		return v.Text
	case mesh.KindArray:
		list := make([]any, len(v.Elems))
		for i, e := range v.Elems {
			list[i] = plain(e)
		}
		return list
	case mesh.KindObject:
		m := make(map[string]any, len(v.Fields))
		for i, f := range v.Fields {
			if i > 0 && v.Fields[i-1].Name >= f.Name {
				panic(fmt.Sprintf("fields %q, %q are not in ascending order", v.Fields[i-1].Name, f.Name))
			}
			m[f.Name] = plain(f.Value)
		}
		return m
	}
	return nil
}

func mustJSON(t testing.TB, x any) string {
	t.Helper()
	b, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// oracle is the input that the generated code and protojson make of a
// CheckRequest; the parsed body is left out. ok is false if there is none.
func oracle(t testing.TB, data []byte) (input map[string]any, ok bool) {
	t.Helper()
	req := new(authv3.CheckRequest)
	if proto.Unmarshal(data, req) != nil {
		return nil, false
	}
	j, err := protojson.Marshal(req)
	if err != nil {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(j))
	d.UseNumber()
	if err := d.Decode(&input); err != nil {
		t.Fatalf("%s: %v", j, err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("%s: %v", j, err)
	}
	path, query, _ := strings.Cut(req.GetAttributes().GetRequest().GetHttp().GetPath(), "?")
	path, err = url.PathUnescape(path)
	if err != nil || strings.ToValidUTF8(path, "") != path {
		return nil, false
	}
	segments := []any{}
	for s := range strings.SplitSeq(strings.TrimLeft(path, "/"), "/") {
		segments = append(segments, s)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, false
	}
	parsed := map[string]any{}
	for name, list := range values {
		if strings.ToValidUTF8(name+strings.Join(list, ""), "") != name+strings.Join(list, "") {
			return nil, false
		}
		l := []any{}
		for _, s := range list {
			l = append(l, s)
		}
		parsed[name] = l
	}
	input[nameParsedPath], input[nameParsedQuery] = segments, parsed
	if p := req.GetAttributes().GetSource().GetPrincipal(); p != "" {
		input[nameSourcePrincipal] = p
	}
	input[nameVersion] = map[string]any{"encoding": "protojson", "ext_authz": "v3"}
	return input, true
}

// checkLens compares the lens with the oracle: the whole input, every value in
// it by its path, and paths that lead nowhere.
func checkLens(t testing.TB, l *lens, data []byte) {
	t.Helper()
	want, ok := oracle(t, data)
	if !l.reset(data) {
		if ok {
			t.Fatalf("lens refuses what the generated code accepts: %x", data)
		}
		return
	}
	if !ok {
		return // the lens need not notice what it is not asked for
	}
	var walk func(p mesh.Path, want any)
	walk = func(p mesh.Path, want any) {
		v, ok := l.Lookup(p)
		if !ok {
			t.Fatalf("%s: absent (%s); want %v in %x", p, l.problem, want, data)
		}
		if k, ok := l.Probe(p); !ok || k != v.Kind {
			t.Fatalf("%s: Probe says %d, %v; want %d", p, k, ok, v.Kind)
		}
		got := plain(v)
		if m, ok := got.(map[string]any); ok && len(p) == 0 {
			delete(m, nameParsedBody)
			delete(m, nameTruncatedBody)
		}
		if g, w := mustJSON(t, got), mustJSON(t, want); g != w {
			t.Fatalf("%s: got %s; want %s in %x", p, g, w, data)
		}
		switch want := want.(type) {
		case map[string]any:
			for name, e := range want {
				walk(append(p[:len(p):len(p)], name), e)
			}
			if len(p) == 0 {
				return
			}
			if _, ok := want["nothing"]; !ok {
				if _, ok := l.Lookup(append(p[:len(p):len(p)], "nothing")); ok {
					t.Fatalf("%s.nothing is there", p)
				}
			}
			for _, name := range []string{"address", "http", "principal", "headers", "portValue", "pipe", "filterMetadata", "size"} {
				if _, ok := want[name]; ok {
					continue
				}
				if _, ok := l.Probe(append(p[:len(p):len(p)], name)); ok {
					t.Fatalf("Probe finds %s.%s in %x", p, name, data)
				}
				if v, ok := l.Lookup(append(p[:len(p):len(p)], name)); ok {
					t.Fatalf("%s.%s is there: %v in %x", p, name, plain(v), data)
				}
			}
		case []any:
			for i, e := range want {
				walk(append(p[:len(p):len(p)], fmt.Sprint(i)), e)
			}
			if _, ok := l.Lookup(append(p[:len(p):len(p)], fmt.Sprint(len(want)))); ok {
				t.Fatalf("%s[%d] is there", p, len(want))
			}
		}
	}
	if v, ok := l.Lookup(nil); ok && l.problem == "" {
		_ = v
	} else if l.problem == badBody {
		l.problem = ""
		for name, e := range want {
			walk(mesh.Path{name}, e)
		}
		return
	}
	walk(nil, want)
}
