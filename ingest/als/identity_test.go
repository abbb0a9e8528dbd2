package als

import (
	"net/netip"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alfv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/tallygate/tallygate/ingest/ingesttest"
	"github.com/tallygate/tallygate/mesh"
	"google.golang.org/protobuf/types/known/anypb"
)

// proxy is a stream's sender in a test.
type proxy struct {
	certificate string // SPIFFE URI
	remote      string
	node        *corev3.Node
	logName     string
}

// story is what one entry says.
type story struct {
	local, peer  string // SANs
	tags         map[string]string
	metadata     map[string]any // of the peer, in the filter state
	wasm         bool           // under the old name
	cluster      string         // upstream_cluster
	remote       string         // IP address of the downstream connection
	upstream     string         // IP address of the upstream host
	authority    string
	upstreamMeta bool // metadata is upstream_peer
}

func (x *story) entry(t *testing.T) *alfv3.HTTPAccessLogEntry {
	c := &alfv3.AccessLogCommon{CustomTags: x.tags, UpstreamCluster: x.cluster}
	if x.local != "" || x.peer != "" {
		c.TlsProperties = new(alfv3.TLSProperties)
		if x.local != "" {
			c.TlsProperties.LocalCertificateProperties = certificate(x.local, "")
		}
		if x.peer != "" {
			c.TlsProperties.PeerCertificateProperties = certificate(x.peer, "")
		}
	}
	if x.metadata != nil {
		key := "downstream_peer"
		if x.upstreamMeta {
			key = "upstream_peer"
		}
		if x.wasm {
			key = "wasm." + key
		}
		c.FilterStateObjects = map[string]*anypb.Any{key: mustAny(t, mustStruct(t, x.metadata))}
	}
	if x.remote != "" {
		c.DownstreamDirectRemoteAddress = socketAddress(x.remote, 1234)
	}
	if x.upstream != "" {
		c.UpstreamRemoteAddress = socketAddress(x.upstream, 80)
	}
	return &alfv3.HTTPAccessLogEntry{CommonProperties: c, Request: &alfv3.HTTPRequestProperties{Authority: x.authority}}
}

// connect opens a stream as p.
func (p *proxy) connect(t *testing.T, s *Server) (*stream, error) {
	t.Helper()
	st := s.newStream(t.Context(), time.Now())
	st.id.principal = p.certificate
	if p.remote != "" {
		st.id.remote = netip.MustParseAddr(p.remote)
	}
	s.add(st)
	m := &alsv3.StreamAccessLogsMessage{Identifier: &alsv3.StreamAccessLogsMessage_Identifier{Node: p.node, LogName: p.logName}}
	err := st.message(mustMarshal(t, m), time.Now())
	s.registry.publishDue(time.Now())
	return st, err
}

// tell returns what an entry of the stream comes to.
func tell(t *testing.T, st *stream, x story) mesh.Entry {
	t.Helper()
	sink := st.s.sink.(*memorySink)
	before := len(sink.all())
	m := &alsv3.StreamAccessLogsMessage{LogEntries: &alsv3.StreamAccessLogsMessage_HttpLogs{
		HttpLogs: &alsv3.StreamAccessLogsMessage_HTTPAccessLogEntries{LogEntry: []*alfv3.HTTPAccessLogEntry{x.entry(t)}}}}
	if err := st.message(mustMarshal(t, m), time.Now()); err != nil {
		t.Fatalf("message: %v", err)
	}
	all := sink.all()
	if len(all) != before+1 {
		t.Fatalf("%d entries counted; want 1", len(all)-before)
	}
	return all[before]
}

// w is a workload in the order name, namespace, canonical service and revision,
// principal, app, version, cluster; what is not given is Istio's fallback.
func w(fields ...string) mesh.Workload {
	x := mesh.UnknownWorkload()
	for i, p := range []*string{&x.Name, &x.Namespace, &x.CanonicalService, &x.CanonicalRevision, &x.Principal, &x.App, &x.Version, &x.Cluster} {
		if i < len(fields) && fields[i] != "" {
			*p = fields[i]
		}
	}
	return x
}

func istioNode(t *testing.T, id string, metadata map[string]any) *corev3.Node {
	n := &corev3.Node{Id: id}
	if metadata != nil {
		n.Metadata = mustStruct(t, metadata)
	}
	return n
}

const (
	spA = "spiffe://td/ns/shop/sa/a"
	spB = "spiffe://td/ns/shop/sa/b"
	spX = "spiffe://td/ns/evil/sa/x"
)

func nodeB(t *testing.T) *corev3.Node {
	return istioNode(t, "sidecar~10.0.0.2~b-1.shop~shop.svc.cluster.local", map[string]any{
		"WORKLOAD_NAME": "b-v1", "NAMESPACE": "shop", "SERVICE_ACCOUNT": "b", "CLUSTER_ID": "east",
		"LABELS": map[string]any{"app": "b", "version": "v1", "service.istio.io/canonical-name": "b", "service.istio.io/canonical-revision": "v1"},
	})
}

var ownB = w("b-v1", "shop", "b", "v1", "", "b", "v1", "east")

func ownBas(principal string) mesh.Workload {
	x := ownB
	x.Principal = principal
	return x
}

func TestIdentityPrecedence(t *testing.T) {
	f := func(name string, p proxy, x story, source, destination mesh.Workload, conflicts float64) {
		t.Helper()
		sink := new(memorySink)
		s, reg := newTestServer(t, sink, nil)
		if p.node == nil {
			p.node = nodeB(t)
		}
		st, err := p.connect(t, s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e := tell(t, st, x)
		if got := e.Source.Value(); got != source {
			t.Errorf("%s: source\n got %+v\nwant %+v", name, got, source)
		}
		if got := e.Destination.Value(); got != destination {
			t.Errorf("%s: destination\n got %+v\nwant %+v", name, got, destination)
		}
		if got := ingesttest.Metric(t, reg, "tallygate_als_identity_conflicts_total"); got != conflicts {
			t.Errorf("%s: %v conflicts; want %v", name, got, conflicts)
		}
	}
	inbound := "inbound|80||"
	outbound := "outbound|80||c.shop.svc.cluster.local"

	f("nothing but the node", proxy{}, story{cluster: inbound}, w(), ownB, 0)
	f("plain node", proxy{node: &corev3.Node{Id: "envoy-7", Cluster: "edge"}}, story{cluster: inbound}, w(), w("edge"), 0)
	f("node without cluster", proxy{node: &corev3.Node{Id: "envoy-7"}}, story{cluster: inbound}, w(), w("envoy-7"), 0)
	f("no reporter: nobody is own", proxy{}, story{}, w(), w(), 0)
	f("SANs", proxy{}, story{cluster: inbound, peer: spA, local: spB}, w("a", "shop", "", "", spA), ownBas(spB), 0)
	f("peer metadata", proxy{}, story{cluster: inbound, peer: spA, metadata: map[string]any{
		"workload": "a-v2", "namespace": "shop", "service": "a", "revision": "v2", "app": "a", "version": "v2", "cluster": "west", "name": "a-v2-123"}},
		w("a-v2", "shop", "a", "v2", spA, "a", "v2", "west"), ownB, 0)
	f("peer metadata of old", proxy{}, story{cluster: inbound, wasm: true, metadata: map[string]any{
		"WORKLOAD_NAME": "a-v2", "NAMESPACE": "shop", "CLUSTER_ID": "west",
		"LABELS": map[string]any{"app": "a", "version": "v2", "service.istio.io/canonical-name": "a"}}},
		w("a-v2", "shop", "a", "v2", "", "a", "v2", "west"), ownB, 0)
	f("metadata before tags, tags fill the rest", proxy{}, story{cluster: inbound,
		metadata: map[string]any{"workload": "a-v2", "namespace": "shop"},
		tags:     map[string]string{"source_workload": "other", "source_cluster": "west", "source_version": "-", "source_app": "unknown"}},
		w("a-v2", "shop", "", "", "", "", "", "west"), ownB, 0)
	f("upstream metadata", proxy{}, story{cluster: outbound, upstreamMeta: true, metadata: map[string]any{"workload": "c-v1", "namespace": "shop"}},
		ownB, w("c-v1", "shop"), 0)
	f("metadata of the wrong side", proxy{}, story{cluster: outbound, metadata: map[string]any{"workload": "c-v1", "namespace": "shop"}}, ownB, w(), 0)
	f("own tags before the node", proxy{}, story{cluster: inbound, tags: map[string]string{"destination_workload": "b-canary"}},
		w(), func() mesh.Workload { x := ownB; x.Name = "b-canary"; return x }(), 0)
	f("a principal tag where no SAN is", proxy{}, story{cluster: outbound, tags: map[string]string{"destination_principal": "spiffe://td/ns/shop/sa/c"}},
		ownB, w("c", "shop", "", "", "spiffe://td/ns/shop/sa/c"), 0)
	f("a principal without the scheme", proxy{}, story{cluster: outbound, tags: map[string]string{"destination_principal": "td/ns/shop/sa/c"}},
		ownB, w("c", "shop", "", "", "spiffe://td/ns/shop/sa/c"), 0)
	f("the application's connection proves nothing to a source", proxy{}, story{cluster: outbound, peer: spX, local: spX}, ownB, w(), 0)
	f("waypoint", proxy{node: istioNode(t, "waypoint~10.0.0.9~w-1.shop~x", nil)}, story{cluster: "inbound-vip|80|http|c.shop.svc.cluster.local",
		peer: spA, local: spB, metadata: map[string]any{"workload": "a-v2"}}, w("a-v2", "shop", "", "", spA), w(), 0)

	// Claims that contradict a certificate.
	f("tag of another namespace", proxy{}, story{cluster: inbound, peer: spA, tags: map[string]string{
		"source_workload": "admin", "source_workload_namespace": "kube-system", "source_app": "admin"}},
		w("a", "shop", "", "", spA), ownB, 1)
	f("tag of another principal", proxy{}, story{cluster: inbound, peer: spA, tags: map[string]string{
		"source_principal": spX, "source_workload": "admin"}}, w("a", "shop", "", "", spA), ownB, 1)
	f("metadata of another namespace", proxy{}, story{cluster: inbound, peer: spX, metadata: map[string]any{"workload": "a-v2", "namespace": "shop"}},
		w("x", "evil", "", "", spX), ownB, 1)
	f("own tags against the stream's certificate", proxy{certificate: spB}, story{cluster: inbound,
		tags: map[string]string{"destination_workload_namespace": "kube-system", "destination_workload": "admin"}}, w(), ownB, 1)
	f("own SAN against the stream's certificate", proxy{certificate: spB}, story{cluster: inbound, local: spX, peer: spA},
		w("a", "shop", "", "", spA), ownBas(spB), 1)
	f("the node lies about its namespace", proxy{certificate: spX}, story{cluster: inbound}, w(), w("", "evil", "", "", spX), 0)
	f("the node lies, and tags agree with the lie", proxy{certificate: spX}, story{cluster: inbound, local: spB, tags: map[string]string{
		"destination_workload": "b-v1", "destination_workload_namespace": "shop", "destination_principal": spB}}, w(), w("", "evil", "", "", spX), 1)
	f("the node is right", proxy{certificate: spB}, story{cluster: inbound, local: spB}, w(), ownBas(spB), 0)
}

func TestReporter(t *testing.T) {
	f := func(node, logName, tag, cluster string, want mesh.Reporter) {
		t.Helper()
		sink := new(memorySink)
		s, _ := newTestServer(t, sink, nil)
		p := proxy{node: &corev3.Node{Id: node}, logName: logName}
		st, err := p.connect(t, s)
		if err != nil {
			t.Fatal(err)
		}
		x := story{cluster: cluster}
		if tag != "" {
			x.tags = map[string]string{"reporter": tag}
		}
		if got := tell(t, st, x).Reporter; got != want {
			t.Errorf("node %q, log %q, tag %q, cluster %q: %v; want %v", node, logName, tag, cluster, got, want)
		}
	}
	const (
		src, dst, way, none = mesh.ReporterSource, mesh.ReporterDestination, mesh.ReporterWaypoint, mesh.ReporterUnknown
		side, router, wp    = "sidecar~10.0.0.1~p.n~d", "router~10.0.0.1~p.n~d", "waypoint~10.0.0.1~p.n~d"
	)
	f(side, "", "", "", none)
	f(side, "", "source", "inbound|80||", src)
	f(side, "", "destination", "outbound|80||x", dst)
	f(side, "", "waypoint", "", way)
	f(side, "outbound", "1", "outbound|80||x", dst)
	f(side, "inbound", "2", "inbound|80||", src)
	f(side, "", "0", "inbound|80||", dst)
	f(side, "", "-", "outbound|80||x", src)
	f(side, "http-inbound", "", "", dst)
	f(side, "source-log", "", "", src)
	f(side, "datasource", "", "", none)
	f(side, "inbound", "", "outbound|80||x", src)
	f(side, "", "", "InboundPassthroughClusterIpv4", dst)
	f(side, "", "", "PassthroughCluster", src)
	f(router, "", "", "", src)
	f(router, "", "", "outbound|80||x", src)
	f(wp, "", "", "inbound-vip|80|http|x", way)
	f(wp, "", "1", "", way)
	f(wp, "", "destination", "", dst)
	f("envoy", "", "", "service_a", none)
}

func TestDestinationService(t *testing.T) {
	f := func(node string, x story, host, name, namespace string) {
		t.Helper()
		sink := new(memorySink)
		s, _ := newTestServer(t, sink, nil)
		p := proxy{node: &corev3.Node{Id: node}}
		st, err := p.connect(t, s)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := tell(t, st, x).Service.Value(), (mesh.DestinationService{Host: host, Name: name, Namespace: namespace}); got != want {
			t.Errorf("%+v: got %+v; want %+v", x, got, want)
		}
	}
	const sidecar, router = "sidecar~10.0.0.1~p.n~d", "router~10.0.0.1~p.n~d"
	src := map[string]string{"reporter": "source"}
	f(sidecar, story{cluster: "outbound|9080||reviews.default.svc.cluster.local"}, "reviews.default.svc.cluster.local", "reviews", "default")
	f(sidecar, story{cluster: "outbound|9080|v1|reviews.default.svc.cluster.local"}, "reviews.default.svc.cluster.local", "reviews", "default")
	f(sidecar, story{cluster: "outbound_.9080_._.reviews.default.svc.cluster.local", tags: src}, "reviews.default.svc.cluster.local", "reviews", "default")
	f(sidecar, story{cluster: "outbound|443||api.example.com"}, "api.example.com", "api.example.com", "unknown")
	f(sidecar, story{cluster: "inbound|9080||"}, "unknown", "unknown", "n")
	f(sidecar, story{cluster: "inbound|9080||", authority: "evil.example.com"}, "unknown", "unknown", "n")
	f(sidecar, story{cluster: "plain", tags: src, authority: "API.example.com:8443"}, "api.example.com", "api.example.com", "unknown")
	f(sidecar, story{cluster: "plain", tags: src, authority: "[::1]:80"}, "[::1]", "[::1]", "unknown")
	f(sidecar, story{cluster: "outbound|80||x.y.svc", authority: "evil"}, "x.y.svc", "x", "y")
	f(router, story{cluster: "plain", authority: "evil.example.com"}, "unknown", "unknown", "unknown")
	f(sidecar, story{cluster: "PassthroughCluster"}, "unknown", "PassthroughCluster", "unknown")
	f(sidecar, story{cluster: "BlackHoleCluster"}, "unknown", "BlackHoleCluster", "unknown")
	f(sidecar, story{cluster: "InboundPassthroughClusterIpv4"}, "unknown", "InboundPassthroughClusterIpv4", "n")
	f(sidecar, story{cluster: "outbound|80||x.y.svc", tags: map[string]string{"destination_service": "tagged.ns1.svc.cluster.local:80"}},
		"tagged.ns1.svc.cluster.local", "tagged", "ns1")
	f(sidecar, story{cluster: "outbound|80||x.y.svc", tags: map[string]string{"destination_service_name": "n1", "destination_service_namespace": "n2"}},
		"x.y.svc", "n1", "n2")
	f(sidecar, story{cluster: "outbound|80||api.example.com", tags: map[string]string{"destination_workload_namespace": "egress"}},
		"api.example.com", "api.example.com", "egress")
}

func TestSecurity(t *testing.T) {
	f := func(x story, want mesh.Security) {
		t.Helper()
		sink := new(memorySink)
		s, _ := newTestServer(t, sink, nil)
		p := proxy{node: nodeB(t)}
		st, err := p.connect(t, s)
		if err != nil {
			t.Fatal(err)
		}
		if got := tell(t, st, x).Security; got != want {
			t.Errorf("%+v: %v; want %v", x, got, want)
		}
	}
	tag := map[string]string{"connection_security_policy": "mutual_tls"}
	f(story{cluster: "inbound|80||", local: spB, peer: spA}, mesh.SecurityMutualTLS)
	f(story{cluster: "inbound|80||", local: spB}, mesh.SecurityNone)
	f(story{cluster: "inbound|80||", tags: tag}, mesh.SecurityNone)
	f(story{cluster: "outbound|80||x"}, mesh.SecurityUnknown)
	f(story{cluster: "outbound|80||x", local: spB, peer: spA}, mesh.SecurityUnknown)
	f(story{cluster: "outbound|80||x", tags: tag}, mesh.SecurityMutualTLS)
}
