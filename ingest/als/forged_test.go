package als

import (
	"testing"

	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
)

// A proxy with a certificate of its own cannot make its entries somebody else's
// by saying nothing, or something else, about its side of the request.
func TestForgedSide(t *testing.T) {
	admin := map[string]string{
		"source_workload": "admin", "source_workload_namespace": "kube-system", "source_principal": "spiffe://td/ns/kube-system/sa/admin",
		"destination_workload": "dns", "destination_workload_namespace": "kube-system", "destination_principal": "spiffe://td/ns/kube-system/sa/dns",
	}
	f := func(reporter string, wantSource, wantDestination mesh.Workload) {
		t.Helper()
		sink := new(memorySink)
		s, reg := newTestServer(t, sink, func(c *Config) { c.Identity = IdentityStrict })
		p := proxy{certificate: spB, node: nodeB(t)}
		st, err := p.connect(t, s)
		if err != nil {
			t.Fatal(err)
		}
		tags := map[string]string{}
		for k, v := range admin {
			tags[k] = v
		}
		if reporter != "" {
			tags["reporter"] = reporter
		}
		e := tell(t, st, story{tags: tags, metadata: map[string]any{"workload": "admin", "namespace": "kube-system"}})
		if got := e.Source.Value(); got != wantSource {
			t.Errorf("reporter %q: source\n got %+v\nwant %+v", reporter, got, wantSource)
		}
		if got := e.Destination.Value(); got != wantDestination {
			t.Errorf("reporter %q: destination\n got %+v\nwant %+v", reporter, got, wantDestination)
		}
		if n := ingesttest.Metric(t, reg, "tallygate_als_identity_conflicts_total", destinationSide); n != 1 && reporter != "source" {
			t.Errorf("reporter %q: %v conflicts at the destination; want 1", reporter, n)
		}
	}
	peer := w("admin", "kube-system", "", "", "spiffe://td/ns/kube-system/sa/admin")
	f("", w(), w())
	f("elsewhere", w(), w())
	f("waypoint", peer, w("", "shop")) // a waypoint serves its own namespace
	f("destination", peer, ownB)
}

// Connections of several workloads may come from one address: the certificate
// says whose it is.
func TestAddressAgainstCertificate(t *testing.T) {
	sink := new(memorySink)
	s, _ := newTestServer(t, sink, nil)
	b := proxy{certificate: spB, remote: "10.0.0.2", node: nodeB(t)}
	st, err := b.connect(t, s)
	if err != nil {
		t.Fatal(err)
	}
	f := func(peer string, want mesh.Workload) {
		t.Helper()
		e := tell(t, st, story{cluster: "inbound|80||", local: spB, peer: peer, remote: "10.0.0.2"})
		if got := e.Source.Value(); got != want {
			t.Errorf("peer %q:\n got %+v\nwant %+v", peer, got, want)
		}
	}
	f(spA, w("a", "shop", "", "", spA))
	f(spX, w("x", "evil", "", "", spX))
	f(spB, ownBas(spB))
	f("", ownB)
}
