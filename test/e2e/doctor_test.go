//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// proxy is what doctor prints of a connected Envoy, as JSON.
type proxy struct {
	Node        string
	Workload    string
	Namespace   string
	Streams     int
	Entries     int
	LastMessage time.Time `json:"last_message"`
	Missing     []struct{ What, YAML string }
}

// doctor runs the command. What it finds missing is no failure of it here.
func doctor(t *testing.T, w *world, args ...string) string {
	t.Helper()
	args = append([]string{"doctor", "--server", w.tallygate.Admin, "--token-file", w.tallygate.Token}, args...)
	out, err := w.tallygate.Run(t.Context(), args...)
	if out == "" {
		t.Fatalf("doctor says nothing: %v", err)
	}
	return out
}

func proxies(t *testing.T, w *world) map[string]proxy {
	t.Helper()
	var reports []struct{ Proxies []proxy }
	if out := doctor(t, w, "-o", "json"); json.Unmarshal([]byte(out), &reports) != nil || len(reports) != 1 {
		t.Fatalf("doctor -o json says\n%s", out)
	}
	byNode := map[string]proxy{}
	for _, p := range reports[0].Proxies {
		byNode[p.Node] = p
	}
	return byNode
}

// Doctor shows each Envoy with what it sends.
func testDoctor(t *testing.T, w *world) {
	found := proxies(t, w)
	text := doctor(t, w)
	for _, s := range w.mesh.Sidecars() {
		p, ok := found[s.Node.ID]
		switch {
		case !ok:
			t.Errorf("no %s in %v", s.Node.ID, found)
		case p.Workload != s.Workload+"-v1", p.Namespace != s.Namespace, p.Streams == 0, p.Entries == 0, p.LastMessage.IsZero():
			t.Errorf("doctor says of %s: %+v", s.Workload, p)
		}
		if !strings.Contains(text, s.Node.ID) {
			t.Errorf("no %s in\n%s", s.Node.ID, text)
		}
	}
	if len(found) != 3 {
		t.Errorf("%d proxies; want 3", len(found))
	}
}

// An Envoy that does not say enough is shown with what it lacks and the YAML
// that adds it.
func TestDoctorMissing(t *testing.T) {
	w := &world{tallygate: StartTallygate(t, testbed.TallygateConfig{})}
	if out := doctor(t, w); !strings.Contains(out, "No proxy") {
		t.Errorf("doctor without a proxy says\n%s", out)
	}
	w.mesh, w.driver = StartMesh(t, NewCA(t), testbed.MeshConfig{Logs: []string{w.tallygate.ALS}, NoTags: true})
	ok, direct := scenario(t, "ok"), scenario(t, "gRPC stream") // to the frontend, and to the backend
	Eventually(t, 20*time.Second, func(ctx context.Context) error {
		if err := errors.Join(ok.Run(ctx, w.driver, testbed.Tally{}), direct.Run(ctx, w.driver, testbed.Tally{})); err != nil {
			return testbed.Permanent(err)
		}
		// An inbound cluster does not name its service.
		for _, s := range []*testbed.Sidecar{w.mesh.Frontend, w.mesh.Backend} {
			p := proxies(t, w)[s.Node.ID]
			if len(p.Missing) == 0 {
				return fmt.Errorf("nothing is missing at %s, which has no tags: %+v", s.Workload, p)
			}
		}
		return nil
	})
	text := doctor(t, w)
	for _, want := range []string{"MISSING destination service", "custom_tags:", "tag: destination_service", w.mesh.Backend.Node.ID} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
