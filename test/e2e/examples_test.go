//go:build e2e

package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/test/testbed"
)

// example reads an example and puts the bed's certificates and addresses in the
// place of those that only a cluster has.
func example(t *testing.T, name string, id *testbed.Identity, replace ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "examples", "envoy", name))
	if err != nil {
		t.Fatal(err)
	}
	replace = append(replace, "/etc/certs/cert.pem", id.Cert, "/etc/certs/key.pem", id.Key, "/etc/certs/root.pem", id.Root)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(b), replace[i]) {
			t.Fatalf("%s no longer holds %q", name, replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(string(b))
}

func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	id, err := NewCA(t).Issue("example", testbed.SPIFFE("shop", "example"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"source.yaml", "destination.yaml"} {
		path := filepath.Join(Bed(t).Dir, name)
		if err := os.WriteFile(path, []byte(example(t, name, id)), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := Bed(t).ValidateEnvoy(t.Context(), path); err != nil {
			t.Error(err)
		}
	}
}

var _ = httptest.NewServer
var _ http.Handler
