package als

import (
	"fmt"
	"testing"
	"time"

	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
)

func nodeA(t *testing.T, version string) proxy {
	return proxy{
		remote: "10.0.0.1", certificate: spA,
		node: istioNode(t, "sidecar~10.0.0.1~a-1.shop~shop.svc.cluster.local", map[string]any{
			"WORKLOAD_NAME": "a-" + version, "NAMESPACE": "shop", "SERVICE_ACCOUNT": "a",
			"LABELS": map[string]any{"app": "a", "version": version},
		}),
	}
}

// TestLearned connects some proxies, then asks what the entries of b's proxy say
// about their source.
func TestLearned(t *testing.T) {
	f := func(name string, x story, want mesh.Workload, change func(*Config), others ...proxy) {
		t.Helper()
		sink := new(memorySink)
		s, _ := newTestServer(t, sink, change)
		for _, p := range others {
			if _, err := p.connect(t, s); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		b := proxy{node: nodeB(t), remote: "10.0.0.2"}
		st, err := b.connect(t, s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		x.cluster = "inbound|80||"
		if got := tell(t, st, x).Source.Value(); got != want {
			t.Errorf("%s: source\n got %+v\nwant %+v", name, got, want)
		}
	}
	a := nodeA(t, "v1")
	aV1 := w("a-v1", "shop", "a", "v1", "", "a", "v1")
	withPrincipal := func(x mesh.Workload, p string) mesh.Workload { x.Principal = p; return x }
	plain := func(p proxy) proxy { p.certificate = ""; return p }
	moved := func(p proxy, ip string) proxy { p.remote = ip; return p }

	f("by address", story{remote: "10.0.0.1"}, aV1, nil, plain(a))
	f("by mapped address", story{remote: "::ffff:10.0.0.1"}, aV1, nil, plain(a))
	f("by principal", story{remote: "10.9.9.9", peer: spA}, withPrincipal(aV1, spA), nil, moved(a, "10.7.7.7"))
	f("by claimed principal, where the address agrees", story{remote: "10.9.9.9", peer: spA}, withPrincipal(aV1, spA), nil, plain(a))
	f("not by claimed principal when strict", story{remote: "10.9.9.9", peer: spA}, w("a", "shop", "", "", spA),
		func(c *Config) { c.Identity = IdentityStrict }, plain(a))
	f("switched off", story{remote: "10.0.0.1"}, w(), func(c *Config) { c.Learned.Enabled = false }, plain(a))
	f("nothing from a node whose address does not agree", story{remote: "10.0.0.1"}, w(), nil, plain(moved(a, "10.7.7.7")))
	f("nor under the address that it came from", story{remote: "10.7.7.7"}, w(), nil, plain(moved(a, "10.7.7.7")))
	f("nothing from a node that contradicts its certificate", story{remote: "10.0.0.1", peer: spX}, w("x", "evil", "", "", spX), nil,
		proxy{remote: "10.0.0.1", certificate: spX, node: a.node})
	f("the address of another principal", story{remote: "10.0.0.1", peer: spX}, w("x", "evil", "", "", spX), nil, a)
	f("tags win, the rest is filled", story{remote: "10.0.0.1", tags: map[string]string{"source_workload": "a-v1", "source_version": "v9"}},
		w("a-v1", "shop", "a", "v1", "", "a", "v9"), nil, plain(a))
	f("tags of another workload take nothing", story{remote: "10.0.0.1", tags: map[string]string{"source_workload": "z"}}, w("z"), nil, plain(a))
	f("two versions share a principal", story{peer: spA}, w("a", "shop", "a", "", spA, "a"), nil,
		moved(a, "10.7.7.7"), moved(nodeA(t, "v2"), "10.7.7.8"))
	f("and the address tells them apart", story{peer: spA, remote: "10.0.0.1"}, withPrincipal(aV1, spA), nil,
		a, moved(nodeA(t, "v2"), "10.7.7.8"))
	f("a plain Envoy", story{remote: "10.0.0.5"}, w("web", "prod", "web"), nil, proxy{remote: "10.0.0.5", node: istioNode(t, "envoy", map[string]any{
		"WORKLOAD_NAME": "web", "NAMESPACE": "prod"})})
}

func TestLearnedSource(t *testing.T) {
	sink := new(memorySink)
	s, _ := newTestServer(t, sink, nil)
	a := nodeA(t, "v1")
	st, err := a.connect(t, s)
	if err != nil {
		t.Fatal(err)
	}
	b := proxy{node: nodeB(t), remote: "10.0.0.2", certificate: spB}
	if _, err := b.connect(t, s); err != nil {
		t.Fatal(err)
	}
	x := story{cluster: "outbound|80||b.shop.svc.cluster.local", upstream: "10.0.0.2"}
	if got := tell(t, st, x).Destination.Value(); got != ownB {
		t.Errorf("by the upstream's address: %+v; want %+v", got, ownB)
	}
	x = story{cluster: "outbound|80||b.shop.svc.cluster.local", tags: map[string]string{"destination_principal": spB}}
	if got := tell(t, st, x).Destination.Value(); got != ownBas(spB) {
		t.Errorf("by the upstream's principal: %+v; want %+v", got, ownBas(spB))
	}
}

// TestLearnedLater lets what is learned replace what was remembered, and expire.
func TestLearnedLater(t *testing.T) {
	sink := new(memorySink)
	s, reg := newTestServer(t, sink, nil)
	b := proxy{node: nodeB(t), remote: "10.0.0.2"}
	st, err := b.connect(t, s)
	if err != nil {
		t.Fatal(err)
	}
	source := func() string {
		return tell(t, st, story{cluster: "inbound|80||", remote: "10.0.0.1"}).Source.Value().Name
	}
	if got := source(); got != "unknown" {
		t.Errorf("before anything is learned: %q", got)
	}
	a := nodeA(t, "v1")
	other, err := a.connect(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if got := source(); got != "a-v1" {
		t.Errorf("after a's proxy connected: %q", got)
	}
	s.remove(other)
	now := time.Now()
	s.registry.expire(now.Add(time.Minute))
	if got := source(); got != "a-v1" {
		t.Errorf("a minute after it went: %q", got)
	}
	// The address goes to another pod: the one that is gone does not count.
	v2 := nodeA(t, "v2")
	last, err := v2.connect(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if got := source(); got != "a-v2" {
		t.Errorf("after the address moved on: %q", got)
	}
	s.remove(last)
	s.remove(st)
	s.registry.expire(now.Add(time.Hour))
	s.registry.publishDue(now.Add(time.Hour))
	if got := source(); got != "unknown" {
		t.Errorf("an hour after: %q", got)
	}
	if n := s.registry.size(); n != 0 {
		t.Errorf("%d entries left", n)
	}
	if n := ingesttest.Metric(t, reg, "tallygate_als_learned_conflicts_total"); n != 1 {
		t.Errorf("%v conflicts; want 1, of the principal", n)
	}
}

func TestLearnedBounds(t *testing.T) {
	s, reg := newTestServer(t, discard{}, func(c *Config) { c.Learned.MaxEntries = 10 })
	now := time.Now()
	for i := range 100 {
		s.registry.learn(factKey{factIP, fmt.Sprint(i)}, learned{w: mesh.Workload{Name: "x"}}, now)
		s.registry.learn(factKey{factPrincipal, "p"}, learned{w: mesh.Workload{Name: fmt.Sprint(i)}}, now)
	}
	if n := s.registry.size(); n != 10 {
		t.Errorf("%d entries; want 10", n)
	}
	if n := ingesttest.Metric(t, reg, "tallygate_als_learned_refused_total"); n != 190 {
		t.Errorf("%v refused; want 190", n)
	}
}
