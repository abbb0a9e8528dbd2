//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tallygate/tallygate/test/testbed"
)

// Two replicas behind the proxies: each proxy streams to one of them.
// What they say together is the mesh, from the command line that names both and
// from the console of one, which knows its peer; each view names them.
//
//	[client] [frontend] [backend] ──ALS──▶ one ◀─┐
//	                              └──────▶ two ◀─┴─ edges, stat, top; the console of one
func TestReplicas(t *testing.T) {
	const token = "both replicas share this"
	adminAt := func() string {
		addr, err := testbed.FreeAddr("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		return addr
	}
	oneAt, twoAt := adminAt(), adminAt()
	replica := func(at, peer string) *testbed.Tallygate {
		return StartTallygate(t, testbed.TallygateConfig{Admin: at, Token: token, More: object{"admin": object{"peers": array{peer}}}})
	}
	one, two := replica(oneAt, twoAt), replica(twoAt, oneAt)
	mesh, driver := StartMesh(t, NewCA(t), testbed.MeshConfig{Logs: []string{one.ALS}, Flush: 300 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go driver.Ask(ctx, 20, testbed.HostFrontend, "/status/200")
	go driver.Ask(ctx, 10, testbed.HostBackend, "/status/500")
	Eventually(t, 30*time.Second, func(context.Context) error {
		var list []struct{ Proxies []proxy }
		if err := say(t, one, &list, "doctor", "--server", one.Admin, "--token-file", one.Token, "-o", "json"); err != nil {
			return err
		}
		if n := len(list[0].Proxies); n != 3 {
			return fmt.Errorf("%d proxies stream to one replica; want 3", n)
		}
		return nil
	})
	// New streams go to the other one, as after a roll-out.
	if err := mesh.PointLogsTo(two.ALS); err != nil {
		t.Fatal(err)
	}
	if err := mesh.Restart(t.Context(), mesh.Backend); err != nil {
		t.Fatal(err)
	}
	names := []string{instance(t, one), instance(t, two)}
	slices.Sort(names)

	both := []string{"--server", one.Admin, "--server", two.Admin, "--token-file", one.Token, "-o", "json"}
	type answer struct {
		Replicas []struct{ Name, Error string }
		Edges    []shownEdge
		Rows     []struct {
			Values []string
			SeenBy []string `json:"seen_by"`
		}
	}
	named := func(a answer) error {
		var got []string
		for _, r := range a.Replicas {
			if r.Error != "" {
				return fmt.Errorf("%s: %s", r.Name, r.Error)
			}
			got = append(got, r.Name)
		}
		slices.Sort(got)
		if !slices.Equal(got, names) {
			return fmt.Errorf("replicas %v; want %v", got, names)
		}
		return nil
	}
	Eventually(t, 45*time.Second, func(context.Context) error {
		var e answer
		if err := say(t, one, &e, append([]string{"top", "--sort", "errors"}, both...)...); err != nil {
			return err
		}
		if err := named(e); err != nil {
			return testbed.Permanent(err)
		}
		seen := map[string]bool{}
		for _, x := range e.Edges {
			for _, r := range x.SeenBy {
				seen[r] = true
			}
		}
		if len(e.Edges) == 0 || e.Edges[0].Destination != "backend-v1" || e.Edges[0].ErrorRatio < 0.5 || len(seen) != 2 {
			return fmt.Errorf("top: %+v, seen by %v", e.Edges, seen)
		}
		var s answer
		if err := say(t, one, &s, append([]string{"stat", "--by", "to,code"}, both...)...); err != nil {
			return err
		}
		if len(s.Rows) < 2 {
			return fmt.Errorf("stat: %+v", s.Rows)
		}
		return named(s)
	})

	// The console of one has both.
	b := openConsole(t, one)
	b.shows(30*time.Second, "#replicas", names[0], names[1])
	b.shows(15*time.Second, ".worst", "client-v1.shop → backend-v1.shop")
	b.view("proxies")
	b.shows(15*time.Second, "#proxy-table", names[0], names[1])
	b.view("tap")
	b.shows(15*time.Second, "main .count", names[0], names[1])
	b.pictures("replicas")

	// One that goes away is named, and the other goes on.
	if err := two.Kill(); err != nil {
		t.Fatal(err)
	}
	b.view("edges")
	b.shows(20*time.Second, "#status", "does not answer")
	b.shows(20*time.Second, "#edge-table tbody", "backend-v1")
}

// instance is the name of a replica in every view.
func instance(t *testing.T, tg *testbed.Tallygate) string {
	t.Helper()
	var list []struct{ Instance string }
	if err := say(t, tg, &list, "doctor", "--server", tg.Admin, "--token-file", tg.Token, "-o", "json"); err != nil && len(list) == 0 {
		t.Fatal(err)
	}
	return list[0].Instance
}

// say runs a command and reads the JSON that it prints, which it also does when it
// has something to complain about.
func say(t *testing.T, tg *testbed.Tallygate, v any, args ...string) error {
	t.Helper()
	out, err := tg.Run(t.Context(), args...)
	if out == "" {
		return err
	}
	return json.Unmarshal([]byte(out), v)
}
