//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	data "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	als "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tallygate/tallygate/test/testbed"
)

const marker = "forged.shop.svc.cluster.local" // destination_service of every forged entry

// Streams come by mTLS and must be who they say; a proxy that has a certificate
// of its own but speaks for others is refused, and its tags never become the
// labels of somebody else.
//
//	sidecars ──mTLS──▶ tallygate (identity: strict) ◀──mTLS── attacker
func TestIdentityStrict(t *testing.T) {
	ca := NewCA(t)
	server, err := ca.Issue("tallygate", testbed.SPIFFE("tallygate", "tallygate"))
	if err != nil {
		t.Fatal(err)
	}
	w := startWorld(t, worldConfig{
		CA:   ca,
		Mesh: testbed.MeshConfig{LogTLS: true},
		Tallygate: testbed.TallygateConfig{ALS: map[string]any{
			"identity": "strict",
			"tls":      map[string]any{"cert_file": server.Cert, "key_file": server.Key, "client_ca_file": server.Root},
		}},
	})
	w.run(t, testbed.Scenarios()...)
	w.wantRequests(t)

	id, err := ca.Issue("attacker", testbed.SPIFFE("evil", "attacker"))
	if err != nil {
		t.Fatal(err)
	}
	tlsConfig, err := ca.ClientTLS(id)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("no certificate", func(t *testing.T) {
		if err := forge(t, w, &tls.Config{InsecureSkipVerify: true}, node("evil", "attacker"), forgedEntry(nil)); err == nil {
			t.Error("a stream without a certificate was taken")
		}
	})
	t.Run("forged node", func(t *testing.T) {
		refused := w.scrapeSum(t, "tallygate_als_identity_refused_total")
		err := forge(t, w, tlsConfig, node("shop", "backend"), forgedEntry(nil))
		if code := status.Code(err); code != codes.PermissionDenied && code != codes.Unauthenticated {
			t.Errorf("a forged node ended with %v; want a refusal", err)
		}
		if got := w.scrapeSum(t, "tallygate_als_identity_refused_total"); got != refused+1 {
			t.Errorf("%v refusals; want %v", got, refused+1)
		}
		if n := w.scrapeSum(t, "istio_requests_total", "destination_service="+marker); n != 0 {
			t.Errorf("%v requests of a refused stream were counted", n)
		}
	})
	t.Run("forged tags", func(t *testing.T) {
		tags := map[string]string{
			"reporter": "source", "source_workload": "frontend-v1", "source_workload_namespace": "shop",
			"source_principal": testbed.SPIFFE("shop", "frontend"), "source_app": "frontend",
		}
		if err := forge(t, w, tlsConfig, node("evil", "attacker"), forgedEntry(tags)); err != nil {
			t.Fatal(err)
		}
		wantOwnSide(t, w, "source")
	})
	t.Run("forged SAN", func(t *testing.T) {
		e := forgedEntry(map[string]string{"reporter": "destination"})
		san := func(uri string) *data.TLSProperties_CertificateProperties {
			return &data.TLSProperties_CertificateProperties{SubjectAltName: []*data.TLSProperties_CertificateProperties_SubjectAltName{
				{San: &data.TLSProperties_CertificateProperties_SubjectAltName_Uri{Uri: uri}},
			}}
		}
		e.CommonProperties.TlsProperties = &data.TLSProperties{
			LocalCertificateProperties: san(testbed.SPIFFE("shop", "backend")),
			PeerCertificateProperties:  san(testbed.SPIFFE("other", "caller")),
		}
		if err := forge(t, w, tlsConfig, node("evil", "attacker"), e); err != nil {
			t.Fatal(err)
		}
		wantOwnSide(t, w, "destination")
	})
	t.Run("nobody else changed", func(t *testing.T) {
		w.want[testbed.Key{Reporter: "source", Source: "attacker-v1", Destination: "unknown", Service: marker, Protocol: "http", Code: "200", Flags: "-"}]++
		w.want[testbed.Key{Reporter: "destination", Source: "caller", Destination: "attacker-v1", Service: marker, Protocol: "http", Code: "200", Flags: "-"}]++
		w.run(t, testbed.Scenarios()...)
		w.wantRequests(t)
	})
	wantBalance(t, w.tallygate)
}

// Without TLS nothing is proved but the address: who claims the address of
// another is counted and not learned.
func TestIdentityLearnedIsNotPoisoned(t *testing.T) {
	w := startWorld(t, worldConfig{})
	unproved := w.scrapeSum(t, "tallygate_als_learned_unproved_total")
	n := node("evil", "attacker")
	n.Id = w.mesh.Frontend.Node.ID
	if err := forge(t, w, nil, n, forgedEntry(map[string]string{"reporter": "source"})); err != nil {
		t.Fatal(err)
	}
	if got := w.scrapeSum(t, "tallygate_als_learned_unproved_total"); got != unproved+1 {
		t.Errorf("%v streams were not believed; want %v", got, unproved+1)
	}
	w.want[testbed.Key{Reporter: "source", Source: "attacker-v1", Destination: "unknown", Service: marker, Protocol: "http", Code: "200", Flags: "-"}]++
	w.run(t, testbed.Scenarios()...)
	w.wantRequests(t)
}

// wantOwnSide checks that the forged entry of a reporter says on its own side
// who it is, and nothing of the workloads that it posed as.
func wantOwnSide(t *testing.T, w *world, side string) {
	t.Helper()
	series, err := w.tallygate.Scrape(t.Context(), "istio_requests_total")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range series {
		if s.Labels["destination_service"] != marker || s.Labels["reporter"] != side {
			continue
		}
		found++
		if got, want := s.Labels[side+"_principal"], testbed.SPIFFE("evil", "attacker"); got != want && got != "unknown" {
			t.Errorf("%s_principal is %s; want %s", side, got, want)
		}
		for name, value := range s.Labels {
			if strings.HasPrefix(name, side+"_") && !strings.HasPrefix(name, "destination_service") &&
				(strings.Contains(value, "shop") || strings.Contains(value, "frontend") || strings.Contains(value, "backend")) {
				t.Errorf("%s is %s: somebody else's", name, value)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d series of the forged entry of %s; want 1", found, side)
	}
}

func node(namespace, workload string) *core.Node {
	metadata, err := structpb.NewStruct(map[string]any{
		"WORKLOAD_NAME": workload + "-v1", "NAMESPACE": namespace, "SERVICE_ACCOUNT": workload, "CLUSTER_ID": "east",
		"LABELS": map[string]any{"app": workload, "version": "v1"},
	})
	if err != nil {
		panic(err) // it is a constant
	}
	return &core.Node{
		Id:       fmt.Sprintf("proxy~%s-v1-0.%s", workload, namespace),
		Cluster:  workload + "." + namespace,
		Metadata: metadata,
	}
}

func forgedEntry(tags map[string]string) *data.HTTPAccessLogEntry {
	if tags == nil {
		tags = map[string]string{}
	}
	tags["destination_service"] = marker
	return &data.HTTPAccessLogEntry{
		CommonProperties: &data.AccessLogCommon{CustomTags: tags},
		Request:          &data.HTTPRequestProperties{Authority: "forged", Path: "/"},
		Response:         &data.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(200)},
	}
}

// forge sends one entry on a stream of its own and returns how the stream
// ended; what was taken is in /metrics when it returns.
func forge(t *testing.T, w *world, tlsConfig *tls.Config, n *core.Node, e *data.HTTPAccessLogEntry) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := Bed(t).DialALS(w.tallygate.ALS, tlsConfig)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Stream(ctx)
	if err != nil {
		return err
	}
	err = s.SendMessage(&als.StreamAccessLogsMessage{
		Identifier: &als.StreamAccessLogsMessage_Identifier{Node: n, LogName: "tallygate"},
		LogEntries: &als.StreamAccessLogsMessage_HttpLogs{HttpLogs: &als.StreamAccessLogsMessage_HTTPAccessLogEntries{
			LogEntry: []*data.HTTPAccessLogEntry{e},
		}},
	})
	if err != nil {
		t.Logf("sending: %v", err)
	}
	return s.Close()
}

// scrapeSum reads /metrics and adds up a metric.
func (w *world) scrapeSum(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	series, err := w.tallygate.Scrape(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return testbed.Sum(series, name, labels...)
}
