package standin

import "testing"

func TestAllowed(t *testing.T) {
	j, err := New(t.Context(), `package envoy.authz

default allow := false

allow if {
	input.parsed_path == ["a", "b"]
	input.parsed_query.q[_] == data.q
}
`, map[string]any{"q": "1"})
	if err != nil {
		t.Fatal(err)
	}
	f := func(path string, want bool) {
		t.Helper()
		got, err := j.Allowed(t.Context(), []byte(`{"attributes":{"request":{"http":{"path":"`+path+`"}}}}`))
		if err != nil || got != want {
			t.Errorf("%s: %t, %v; want %t", path, got, err, want)
		}
	}
	f("/a/b?q=1", true)
	f("/a/b?q=2", false)
	f("/a", false)
}
