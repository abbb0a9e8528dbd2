package extauthz

import (
	"testing"

	"github.com/tallygate/tallygate/mesh"
)

func TestNewRequest(t *testing.T) {
	req := sampleRequest(1)
	r, err := NewRequest(mustMarshal(t, req))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := r.Lookup(mesh.Path{"attributes", "request", "http", "path"}); !ok || v.Text != req.Attributes.Request.Http.Path {
		t.Errorf("path %v, %t", v, ok)
	}
	req.Attributes.Request.Http.Path = "/%zz"
	if _, err := NewRequest(mustMarshal(t, req)); err == nil {
		t.Error("a path that is none was accepted")
	}
	if _, err := NewRequest([]byte{0xff}); err == nil {
		t.Error("what is no CheckRequest was accepted")
	}
}
